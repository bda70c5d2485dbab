//go:build !linux

package lab

import "syscall"

// childAttributes puts a child into a group of its own, so that Ctrl-C reaches only the lab.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
