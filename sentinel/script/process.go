package script

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// Process is a program that was started.
type Process interface {
	PID() int
	Kill()      // it, and all that it started
	Wait() Exit // for its end; called once
}

// Exit is how a process ended: by a signal, or by itself with a code.
type Exit struct{ Signal, Code int }

func (e Exit) success() bool { return e == Exit{} }

// transient says whether another attempt may do better.
func (e Exit) transient() bool { return e.Signal != 0 || e.Code == 1 }

// noProcess is the signal that Sentinel names when it could not make a process.
const noProcess = 99

// unstarted is the end of what did not even start: it is tried again only if the host was short of something.
func unstarted(err error) Exit {
	for _, short := range []error{syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ETXTBSY} {
		if errors.Is(err, short) {
			return Exit{Signal: noProcess}
		}
	}
	return Exit{Code: 2} // as Sentinel's child says when it can't become the program
}

// prepare makes what will be a process: argv is its path and its arguments. It has a group of its own, so that all of it can be killed.
func prepare(argv []string) *exec.Cmd {
	return &exec.Cmd{Path: argv[0], Args: argv, SysProcAttr: &syscall.SysProcAttr{Setpgid: true}}
}

// start makes a process with this one's environment and output.
func start(argv []string) (Process, error) {
	c := prepare(argv)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		return nil, err
	}
	return process{c}, nil
}

type process struct{ cmd *exec.Cmd }

func (p process) PID() int { return p.cmd.Process.Pid }

// Kill does nothing harmful to one that has just ended: its number is not given to another process so soon.
func (p process) Kill() { _ = syscall.Kill(-p.PID(), syscall.SIGKILL) }

func (p process) Wait() Exit {
	if err := p.cmd.Wait(); err != nil && p.cmd.ProcessState == nil {
		return Exit{Code: -1} // the system does not say how: the agent's own parent told it to forget its children
	}
	return exitOf(p.cmd)
}

// exitOf says how a process ended that has been waited for.
func exitOf(c *exec.Cmd) Exit {
	status, _ := c.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return Exit{Signal: int(status.Signal())}
	}
	return Exit{Code: status.ExitStatus()}
}
