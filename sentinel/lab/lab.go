// Package lab runs real redis-server processes and real agents on loopback, for the demonstration, the tests
// and the benchmark. A Lab ends everything that it started, also when its own process is killed, and it signals
// nothing else.
package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Lab owns processes, ports and networks. Its methods are safe for concurrent use.
type Lab struct {
	Dir string // everything that its processes write is below it

	starts chan func()   // run on the one thread that all children die with
	done   chan struct{} // closed by Close

	mu     sync.Mutex
	procs  []*Process
	held   []io.Closer // reserved ports, networks
	closed bool
}

// New makes a lab in an existing directory.
func New(dir string) *Lab {
	l := &Lab{Dir: dir, starts: make(chan func()), done: make(chan struct{})}
	go l.startLoop()
	return l
}

// startLoop starts processes on one locked thread, because the kernel's parent-death signal follows the thread that
// forked. It ends with the lab.
func (l *Lab) startLoop() {
	runtime.LockOSThread()
	for {
		select {
		case start := <-l.starts:
			start()
		case <-l.done:
			return
		}
	}
}

// Close kills every process that still runs, frees the ports and takes the networks down. Files stay.
func (l *Lab) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	procs, held := l.procs, l.held
	l.mu.Unlock()
	for _, p := range procs {
		p.Kill()
	}
	for _, h := range held {
		_ = h.Close() // nobody uses it any more
	}
	close(l.done)
}

// hold has something closed with the lab.
func (l *Lab) hold(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = append(l.held, c)
}

// Process is one child of the lab. It can be started again after it ended.
type Process struct {
	Name string // for messages
	Log  string // file that receives stdout and stderr
	args []string
	lab  *Lab

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has been waited for
}

// Command registers a program that is not started yet. Its output goes to a file named for it.
func (l *Lab) Command(name string, args ...string) *Process {
	return l.process(name, filepath.Join(l.Dir, name+".log"), args...)
}

// process registers a child that is not started yet.
func (l *Lab) process(name, logFile string, args ...string) *Process {
	p := &Process{Name: name, Log: logFile, args: args, lab: l}
	l.mu.Lock()
	l.procs = append(l.procs, p)
	l.mu.Unlock()
	return p
}

// Start runs the process; it must not be running.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("start %s: it is already running", p.Name)
	}
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer out.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = childAttributes()

	started := make(chan error, 1)
	select {
	case p.lab.starts <- func() { started <- cmd.Start() }:
	case <-p.lab.done:
		return fmt.Errorf("start %s: the lab is closed", p.Name)
	}
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.cmd, p.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) { // waits for this child; ends with it
		_ = cmd.Wait() // how a killed child ended says nothing
		close(exited)
	}(p.exited)
	return nil
}

// running is called with mu held.
func (p *Process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Running says whether the process lives (it may be frozen).
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

// Pid is the process id of the last start, 0 if there was none.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Exited is closed when the process of the last start has ended; nil before the first start.
func (p *Process) Exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

// Signal sends sig to the process if it runs. A child that has not been waited for keeps its pid, so
// that the signal can't reach a stranger.
func (p *Process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("signal %s: it is not running", p.Name)
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

// Kill ends the process at once (SIGKILL) and returns when it is gone.
func (p *Process) Kill() {
	if p.Signal(syscall.SIGKILL) == nil {
		<-p.Exited()
	}
}

// Freeze stops the process in its tracks (SIGSTOP); its sockets stay open.
func (p *Process) Freeze() error { return p.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return p.Signal(syscall.SIGCONT) }

// Stop asks the process to end (SIGTERM) and kills it after the grace time.
func (p *Process) Stop(grace time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.Exited():
		return nil
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("stop %s: it did not end within %s and was killed", p.Name, grace)
	}
}
