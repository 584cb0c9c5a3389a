"""Transcripts as text, subtitles and captioned video."""
