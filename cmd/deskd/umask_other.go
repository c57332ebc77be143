//go:build !unix

package main

// umask has no meaning here.
func umask() {}
