//go:build !race

package mailin

// underRace says that the race detector runs.
const underRace = false
