package linear

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Errors of Check.
var (
	// ErrIllegal: no order of the operations explains the answers.
	ErrIllegal = errors.New("the history is not linearizable")
	// ErrUndecided: the search took too long; many unknown outcomes of one key make it exponential.
	ErrUndecided = errors.New("the search for an order took too long")
)

// Check says whether the operations of each key can be put in an order that explains all answers: ErrIllegal,
// with the first answer that cannot be, if they can't. It gives up with ErrUndecided after the timeout; 0: never.
func Check(ops []Operation, timeout time.Duration) error {
	start := time.Now()
	for _, part := range byKey(history(ops)) {
		left := timeout
		if timeout > 0 {
			left = max(timeout-time.Since(start), 1)
		}
		switch porcupine.CheckOperationsTimeout(Model(), part, left) {
		case porcupine.Illegal:
			return explain(part)
		case porcupine.Unknown:
			return fmt.Errorf("%w: %d operations on %s", ErrUndecided, len(part), part[0].Input.(Operation).Key)
		}
	}
	return nil
}

// history is the operations as porcupine takes them. What has no answer returns at the end of time, or, if it
// changes nothing, is left out.
func history(ops []Operation) []porcupine.Operation {
	var list []porcupine.Operation
	for _, o := range ops {
		if o.Unknown {
			if o.Kind == Get {
				continue
			}
			o.Return, o.Revision = math.MaxInt64, 0
		}
		list = append(list, porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: o.Return})
	}
	return list
}

// Limits of an explanation: operations that are shown, and the search for each answer that is tried.
const (
	maxShown = 40
	patience = time.Second
)

// explain names the first answer that cannot be, in an illegal history of one key: with all answers before it, and
// only the calls of what was under way, there still was an order.
func explain(part []porcupine.Operation) error {
	ops := make([]Operation, len(part))
	for i, o := range part {
		ops[i] = o.Input.(Operation)
		ops[i].Return = o.Return
	}
	slices.SortFunc(ops, func(a, b Operation) int { return cmp.Compare(a.Return, b.Return) })
	i := sort.Search(len(ops)-1, func(i int) bool {
		return porcupine.CheckOperationsTimeout(Model(), history(until(ops, ops[i].Return)), patience) == porcupine.Illegal
	})
	seen := until(ops, ops[i].Return)
	var text strings.Builder
	for _, o := range seen[max(0, len(seen)-maxShown):] {
		fmt.Fprintf(&text, "\n\t%s", o)
	}
	return fmt.Errorf("%w: there is no order with the answer %s\nbefore it:%s", ErrIllegal, ops[i], text.String())
}

// until is what was known at a time: answers that came later are unknown, and calls that came later never happened.
func until(ops []Operation, now int64) []Operation {
	var seen []Operation
	for _, o := range ops {
		if o.Call <= now {
			o.Unknown = o.Unknown || o.Return > now
			seen = append(seen, o)
		}
	}
	slices.SortStableFunc(seen, func(a, b Operation) int { return cmp.Compare(a.Call, b.Call) })
	return seen
}
