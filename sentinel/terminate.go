package sentinel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"picket/config"
	"picket/sentinel/script"
)

// victim is a server that must stop and does not answer.
type victim struct {
	master string
	server config.Addr
	runID  string
	pid    int
	why    string
}

// errNoLastResort: the configuration has none.
var errNoLastResort = errors.New("it does not answer, and the configuration has no last resort: set fence.kill or fence.command")

// terminate ends a server's process, or has a program do it, as configured.
func terminate(ctx context.Context, f config.Fence, v victim) error {
	if !f.Kill && f.Command == "" {
		return errNoLastResort
	}
	var errs []error
	if f.Kill {
		errs = append(errs, kill(v))
	}
	if f.Command != "" {
		errs = append(errs, command(ctx, f, v))
	}
	return errors.Join(errs...)
}

// kill ends the process, if what runs under its number on this host is a server at that port.
func kill(v victim) error {
	if v.pid <= 1 {
		return errors.New("the number of its process is not known")
	}
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", v.pid))
	if err != nil {
		return fmt.Errorf("kill process %d: it is not on this host, or not visible to this agent: %w", v.pid, err)
	}
	if !isServer(title, v.server.Port()) {
		return fmt.Errorf("kill process %d: it is no server at port %d; is Redis in another container?", v.pid, v.server.Port())
	}
	if err := syscall.Kill(v.pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill process %d: %w", v.pid, err)
	}
	return nil
}

// isServer says whether a process calls itself a server at a port, as "redis-server 127.0.0.1:6379".
func isServer(title []byte, port int) bool {
	words := strings.Fields(string(bytes.ReplaceAll(title, []byte{0}, []byte{' '})))
	if len(words) == 0 || !strings.Contains(words[0], "redis-server") && !strings.Contains(words[0], "valkey-server") {
		return false
	}
	return slices.ContainsFunc(words[1:], func(w string) bool { return strings.HasSuffix(w, fmt.Sprint(":", port)) })
}

// command runs the configured program.
func command(ctx context.Context, f config.Fence, v victim) error {
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	path, err := exec.LookPath(f.Command)
	if err != nil {
		return fmt.Errorf("run %s: %w", f.Command, err)
	}
	code, said, err := script.Run(ctx, []string{path},
		[]string{"PICKET_MASTER=" + v.master, "PICKET_SERVER=" + string(v.server), "PICKET_RUN_ID=" + v.runID, "PICKET_REASON=" + v.why})
	if err == nil && code != 0 {
		err = fmt.Errorf("run %s: it ended with code %d: %s", f.Command, code, said)
	}
	return err
}
