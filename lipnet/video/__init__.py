"""Video files, cameras and sound: decoding and encoding."""
