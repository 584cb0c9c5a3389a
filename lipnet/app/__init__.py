"""The page in the browser: videos are uploaded, recorded or streamed from a webcam, and read."""
