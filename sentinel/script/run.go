package script

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// maxOutput bounds how much of what a program says is kept, in bytes.
const maxOutput = 400

// stragglers is how long a program's children may keep its output open once it has ended.
const stragglers = 50 * time.Millisecond

// Run runs a program once, and waits for its end: argv is its path, relative to the working directory or absolute, and its arguments; environment
// is added to that of this process. When ctx ends before, the program and all that it started is killed. said is the beginning of what it wrote. The error
// says that it could not be started, did not end by itself, or was ended by a signal; else code is its own word.
func Run(ctx context.Context, argv, environment []string) (code int, said string, err error) {
	c, out := prepare(argv), &head{}
	c.Env = append(os.Environ(), environment...)
	c.Stdout, c.Stderr, c.WaitDelay = out, out, stragglers
	if err := ctx.Err(); err != nil {
		return 0, "", fmt.Errorf("run %s: %w", argv[0], err)
	}
	if err := c.Start(); err != nil {
		return 0, "", fmt.Errorf("run %s: %w", argv[0], err)
	}
	p := process{c}
	stop := context.AfterFunc(ctx, p.Kill)
	waited := c.Wait()
	killed := !stop()
	if c.ProcessState == nil {
		return 0, out.String(), fmt.Errorf("run %s: %w", argv[0], waited)
	}
	switch exit := exitOf(c); {
	case killed && exit.Signal != 0:
		return 0, out.String(), fmt.Errorf("run %s: it took too long, and was killed: %w", argv[0], ctx.Err())
	case exit.Signal != 0:
		return 0, out.String(), fmt.Errorf("run %s: it was ended by signal %d", argv[0], exit.Signal)
	default:
		return exit.Code, out.String(), nil
	}
}

// head keeps the beginning of what is written.
type head struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(p[:min(len(p), maxOutput-h.text.Len())])
	return len(p), nil
}

// String is one line of valid text.
func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(strings.Fields(strings.ToValidUTF8(h.text.String(), "")), " ")
}
