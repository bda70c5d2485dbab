package lab

import "syscall"

// childAttributes puts a child into a group of its own, so that Ctrl-C reaches only the lab, and has the kernel kill it
// when the lab dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
