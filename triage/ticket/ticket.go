// Package ticket says what a ticket is: its number, its status and what may
// follow on it, its priority. It holds facts and tables only; it reaches no
// clock, file or socket.
package ticket

import (
	"fmt"
	"strconv"
)

// Number is what people call a ticket by. It is a plain counter, so it can be
// read aloud and guessed; it finds a ticket and never gives a right to it.
type Number int64

// String gives the digits alone; a subject tag adds the desk's prefix.
func (n Number) String() string { return strconv.FormatInt(int64(n), 10) }

// ParseNumber reads decimal digits. Signs, spaces, zero and numbers beyond 15
// digits are refused.
func ParseNumber(s string) (Number, error) {
	if len(s) == 0 || len(s) > 15 {
		return 0, fmt.Errorf("ticket number %q: want 1 to 15 digits", s)
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("ticket number %q: want digits only", s)
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("ticket number %q: want a number above zero", s)
	}
	return Number(n), nil
}
