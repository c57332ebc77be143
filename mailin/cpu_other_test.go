//go:build !unix

package mailin

import "time"

var started = time.Now()

// cpuTime stands in for the time that this process has used.
func cpuTime() time.Duration { return time.Since(started) }
