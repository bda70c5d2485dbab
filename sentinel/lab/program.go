package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Main is the main function of a program that plays with servers: SIGINT and SIGTERM end run's context, an error ends the process with 1.
func Main(name string, run func(ctx context.Context, args []string, out io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// WithProgram builds picket with the go tool's flags, and gives what run makes of it; 1 if it can't be built. It is for TestMain.
func WithProgram(run func(program string) (code int), flags ...string) (code int) {
	dir, err := os.MkdirTemp("", "picket-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "picket")
	args := append(append([]string{"build"}, flags...), "-o", program, "picket")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build picket: %v\n%s", err, out)
		return 1
	}
	return run(program)
}
