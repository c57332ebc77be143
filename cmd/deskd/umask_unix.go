//go:build unix

package main

import "syscall"

// umask keeps every file that is made private to its owner (T51): databases,
// keys and settings of a help desk hold secrets.
func umask() { syscall.Umask(0o077) }
