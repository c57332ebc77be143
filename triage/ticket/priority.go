package ticket

// Priority is how urgent a ticket is. The stored and printed form is the
// English word in lower case.
type Priority string

// The four priorities, most urgent first.
const (
	Critical Priority = "critical"
	High     Priority = "high"
	Medium   Priority = "medium"
	Low      Priority = "low"
)

// Priorities lists all, most urgent first.
func Priorities() []Priority { return []Priority{Critical, High, Medium, Low} }

// Valid says whether p is one of the four.
func (p Priority) Valid() bool { return p.Rank() > 0 }

// Rank is 4 for critical down to 1 for low, and 0 for anything else.
func (p Priority) Rank() int {
	switch p {
	case Critical:
		return 4
	case High:
		return 3
	case Medium:
		return 2
	case Low:
		return 1
	}
	return 0
}
