"""Drawn glyphs: what every image promises, and that the same seed gives the same images."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tinkering.data.glyphs import draw_glyphs
from tinkering.data.strokes import STROKES

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
VISIBLE = 64  # pixels at least this bright count as ink


@pytest.fixture(scope="module")
def glyphs() -> torch.Tensor:
    """Ten images of each character: uint8 (62, 10, 28, 28)."""
    characters = [character for character in CHARACTERS for _ in range(10)]
    return draw_glyphs(characters, seed=0).view(62, 10, 28, 28)


def ink_box(image: torch.Tensor) -> tuple[int, int, int, int]:
    """First and last row, first and last column with ink."""
    rows, columns = torch.nonzero(image >= VISIBLE, as_tuple=True)
    return rows.min().item(), rows.max().item(), columns.min().item(), columns.max().item()


def test_there_are_strokes_for_exactly_the_62_characters():
    assert sorted(STROKES) == sorted(CHARACTERS)


@pytest.mark.parametrize("character", CHARACTERS)
def test_variants_follow_the_notation_and_differ(character):
    variants = STROKES[character]
    assert len(variants) >= 2
    assert len(set(variants)) == len(variants)
    for variant in variants:
        assert re.fullmatch(r"\d\d([-~]\d\d)+( \d\d([-~]\d\d)+)*", variant)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(CHARACTERS), max_size=8), st.integers(0, 2**64))
def test_any_characters_and_seed_give_one_framed_image_each_and_always_the_same(characters, seed):
    images = draw_glyphs(characters, seed)
    assert images.shape == (len(characters), 28, 28)
    assert images.dtype == torch.uint8
    assert torch.equal(images, draw_glyphs(characters, seed))
    for image in images:
        assert image.max() == 255
        top, bottom, left, right = ink_box(image)
        assert 21 <= max(bottom - top, right - left) + 1 <= 26


def test_a_string_is_a_sequence_of_characters():
    assert torch.equal(draw_glyphs("aZ7", seed=1), draw_glyphs(["a", "Z", "7"], seed=1))


def test_another_seed_draws_other_images():
    assert not torch.equal(draw_glyphs("aZ7", seed=1), draw_glyphs("aZ7", seed=2))


def test_seeds_that_agree_in_their_low_32_bits_draw_other_images():
    assert not torch.equal(draw_glyphs("aZ7", seed=1), draw_glyphs("aZ7", seed=1 + 2**32))


def test_more_images_than_are_drawn_at_once_all_have_ink():
    images = draw_glyphs("x" * 250, seed=0)
    assert (images.flatten(1).amax(dim=1) == 255).all()


def test_global_random_states_are_neither_used_nor_changed():
    torch.manual_seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = draw_glyphs(CHARACTERS, seed=5)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    torch.manual_seed(2)
    assert torch.equal(draw_glyphs(CHARACTERS, seed=5), first)


def test_ink_is_white_on_black(glyphs):
    border = torch.cat([glyphs[..., 0, :], glyphs[..., -1, :], glyphs[..., 0], glyphs[..., -1]])
    assert border.max() < VISIBLE
    assert (glyphs.flatten(2).amax(dim=2) == 255).all()


def test_ink_is_centred(glyphs):
    for image in glyphs.flatten(0, 1):
        top, bottom, left, right = ink_box(image)
        assert abs((top + bottom) / 2 - 13.5) <= 1
        assert abs((left + right) / 2 - 13.5) <= 1


def test_aspect_ratio_is_kept(glyphs):
    def mean_width(character: str) -> float:
        boxes = [ink_box(image) for image in glyphs[CHARACTERS.index(character)]]
        return sum(right - left + 1 for _, _, left, right in boxes) / len(boxes)

    assert mean_width("l") < 16 < mean_width("m")


def test_amount_of_ink_and_contrast_are_those_of_emnist(glyphs):
    brightness = glyphs.double() / 255
    assert 0.14 < brightness.mean() < 0.20
    assert 0.30 < brightness.std() < 0.36


def test_pen_edges_are_soft(glyphs):
    grey = ((glyphs > 25) & (glyphs < 230)).double().mean()
    assert 0.05 < grey < 0.25


def test_no_two_images_of_a_character_are_alike(glyphs):
    for images in glyphs.flatten(2).double():
        distances = torch.cdist(images, images) + torch.eye(10).double() * 1e6
        assert distances.min() > 255


def test_characters_are_upright():
    images = draw_glyphs("T" * 50 + "L" * 50, seed=0).double()
    bars, feet = images[:50], images[50:]
    assert bars[:, :8].mean() > bars[:, -8:].mean()
    assert feet[:, -8:].mean() > feet[:, :8].mean()
    assert feet[:, :, :14].mean() > feet[:, :, 14:].mean()


@pytest.mark.parametrize("character", ["é", "-", " ", "", "ab"])
def test_other_characters_are_refused_by_name(character):
    with pytest.raises(ValueError, match=re.escape(repr(character))):
        draw_glyphs(["a", character], seed=0)
