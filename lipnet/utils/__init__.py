"""What every part of the package needs: atomic files, worker processes, prefetching, command lines."""
