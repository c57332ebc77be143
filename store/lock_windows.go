package store

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile locks a file for this handle, or fails at once.
func lockFile(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, new(windows.Overlapped))
}

// unlockFile has nothing to do: the lock ends with the descriptor.
func unlockFile(*os.File) error { return nil }
