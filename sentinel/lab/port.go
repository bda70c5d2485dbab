package lab

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Ports come from below the range that kernels use for outgoing connections, so that nobody takes the port of a
// server while it is down, and are locked against other labs on the machine.
const (
	firstPort = 11000
	lastPort  = 31999
)

// portLock is a port that is ours while the file is locked.
type portLock struct {
	port int
	file *os.File
}

func (p *portLock) release() { _ = p.file.Close() } // closing frees the lock

// Port reserves a free loopback port until the lab closes.
func (l *Lab) Port() (int, error) {
	dir := filepath.Join(os.TempDir(), "picket-lab-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, fmt.Errorf("reserve a port: %w", err)
	}
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		lock := tryPort(dir, port)
		if lock == nil {
			continue
		}
		l.mu.Lock()
		l.ports = append(l.ports, lock)
		l.mu.Unlock()
		return port, nil
	}
	return 0, fmt.Errorf("reserve a port: none free between %d and %d", firstPort, lastPort)
}

// tryPort returns nil when somebody else has the port.
func tryPort(dir string, port int) *portLock {
	file, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil
	}
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		_ = file.Close()
		return nil
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		_ = file.Close()
		return nil
	}
	_ = listener.Close()
	return &portLock{port: port, file: file}
}
