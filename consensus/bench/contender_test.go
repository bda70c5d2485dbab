package main

import (
	"context"
	"testing"
	"time"
)

// TestContenders_CommitEverywhere: what is measured is replication to all nodes, and survives the loss of the leader.
func TestContenders_CommitEverywhere(t *testing.T) {
	for _, contender := range contenders {
		t.Run(contender.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c, err := contender.start(t.TempDir(), 3)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := c.close(); err != nil {
					t.Error(err)
				}
			}()
			const n = 50
			put := func() int {
				leader, err := awaitLeader(ctx, c, -1)
				if err != nil {
					t.Fatal(err)
				}
				for range n {
					if err := c.propose(ctx, leader, make([]byte, 100)); err != nil {
						t.Fatal(err)
					}
				}
				return leader
			}
			old := put()
			for i := range 3 {
				if err := awaitApplied(ctx, c, i, n); err != nil {
					t.Fatalf("node %d: %v", i, err)
				}
			}
			if err := c.stop(old); err != nil {
				t.Fatal(err)
			}
			put()
			if err := c.start(old); err != nil {
				t.Fatal(err)
			}
			if err := awaitApplied(ctx, c, old, 2*n); err != nil {
				t.Fatalf("the restarted leader: %v", err)
			}
		})
	}
}

// A contender may have failed to elect anybody: the rest is reported all the same.
func TestReport_WithoutAMeasurement(t *testing.T) {
	r := newReport(plan{rounds: 1, proposers: []int{1, 64}})
	if err := r.print(t.Output()); err != nil {
		t.Error(err)
	}
	if err := r.draw(t.TempDir()); err != nil {
		t.Error(err)
	}
}
