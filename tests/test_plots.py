import torch
from matplotlib.image import imread

from tinkering.plots import contact_sheet


def test_a_contact_sheet_shows_every_image_in_the_column_of_its_class(tmp_path):
    images = torch.zeros(4, 28, 28, dtype=torch.uint8)
    images[2] = 255
    contact_sheet(images, torch.tensor([0, 1, 1, 0]), ["a", "b"], tmp_path / "sheet.png")
    drawn = imread(tmp_path / "sheet.png")[40:, :, 0]  # below the names
    assert drawn.shape == (12 * 28, 2 * 28)
    white = torch.from_numpy(drawn > 0.5).nonzero()
    assert white.amin(0).tolist() == [28, 28]  # the second image of the second class
    assert white.amax(0).tolist() == [55, 55]
