"""How things look as pictures. Pure: data in, SVG or dot out."""
