//go:build race

package mailin

// underRace says that the race detector runs. It drops what sync.Pool keeps,
// so that regular expressions allocate anew at each use and figures of memory
// mean nothing.
const underRace = true
