//go:build unix

package mailin

import (
	"syscall"
	"time"
)

// cpuTime is what this process has used so far. Unlike the time on the wall
// it does not run while others have the machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
