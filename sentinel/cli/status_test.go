package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatch shows answers, and goes on after one that there is not, of which it does not make an answer.
func TestWatch(t *testing.T) {
	for format, want := range map[Format]string{Table: "1 once\nno agent\n3 once\n, ", JSON: "1\n3\n, no agent\n"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*watchEvery+watchEvery/2)
			defer cancel()
			asked := 0
			var out, errs bytes.Buffer
			err := Watch(ctx, &out, &errs, format, func(ctx context.Context) (Answer, error) {
				if end, ok := ctx.Deadline(); !ok || time.Until(end) > answerTimeout {
					t.Errorf("an answer may take until %v", end)
				}
				if asked++; asked == 2 {
					return Answer{}, errors.New("no agent")
				}
				n := asked
				return Answer{n, func(out io.Writer) error {
					_, err := fmt.Fprintln(out, paint(out, plain, fmt.Sprint(n, " once")))
					return err
				}}, nil
			})
			if got := fmt.Sprint(out.String(), ", ", errs.String()); err != nil || got != want {
				t.Errorf("%s: %q, %v; want %q", format, got, err, want)
			}
		})
	}
	full := errors.New("the disk is full")
	err := Watch(t.Context(), io.Discard, io.Discard, Table, func(context.Context) (Answer, error) {
		return Answer{nil, func(io.Writer) error { return full }}, nil
	})
	if !errors.Is(err, full) {
		t.Errorf("what is written nowhere: %v", err)
	}
}
