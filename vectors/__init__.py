"""What is kept: steering vectors, their arithmetic, the library on disk, file formats. Never imports torch or Textual."""
