"""From images and trained networks to label maps on the images' own grids."""
