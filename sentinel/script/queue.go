package script

import (
	"slices"
	"time"
)

// The limits of Redis Sentinel.
const (
	maxJobs     = 256 // running ones included
	maxRunning  = 16
	maxAttempts = 10
	maxRuntime  = 60 * time.Second
	retryDelay  = 30 * time.Second // after the first attempt; it doubles
)

// job is a program to be run until it succeeds.
type job struct {
	argv     []string
	attempts int // begun
	running  bool
	overdue  bool      // it has run for too long, and was killed
	at       time.Time // running: since; else: not before
	process  Process   // nil: it does not run, or is just being started
}

// queue decides what is to be run. It has no clock, and starts nothing.
type queue struct {
	jobs    []*job // in the order in which they came
	running int
}

// add gives the job that had to make room; nil: none had to.
func (q *queue) add(argv []string) (dropped *job) {
	q.jobs = append(q.jobs, &job{argv: argv})
	if len(q.jobs) <= maxJobs {
		return nil
	}
	oldest := slices.IndexFunc(q.jobs, func(j *job) bool { return !j.running }) // there is one: fewer than maxJobs run
	dropped = q.jobs[oldest]
	q.remove(dropped)
	return dropped
}

// next gives a job that is to be started now, and counts as running; nil: there is none.
func (q *queue) next(now time.Time) *job {
	if q.running == maxRunning {
		return nil
	}
	for _, j := range q.jobs {
		if !j.running && !j.at.After(now) {
			j.running, j.at, j.overdue = true, now, false
			j.attempts++
			q.running++
			return j
		}
	}
	return nil
}

// late gives a job that has run for too long; each attempt is given once.
func (q *queue) late(now time.Time) *job {
	for _, j := range q.jobs {
		if j.process != nil && !j.overdue && now.Sub(j.at) >= maxRuntime {
			j.overdue = true
			return j
		}
	}
	return nil
}

// ended takes note of the end of an attempt; false: there will be no other.
func (q *queue) ended(j *job, e Exit, now time.Time) (again bool) {
	q.running--
	j.running, j.process = false, nil
	if !e.transient() || j.attempts == maxAttempts {
		q.remove(j)
		return false
	}
	j.at = now.Add(retryDelay << (j.attempts - 1))
	return true
}

func (q *queue) remove(j *job) {
	q.jobs = slices.DeleteFunc(q.jobs, func(other *job) bool { return other == j })
}

// due is when a job is to be started or killed, if none ends before; false: there is nothing to do then.
func (q *queue) due() (at time.Time, ok bool) {
	for _, j := range q.jobs {
		when := j.at
		switch {
		case j.process != nil && !j.overdue:
			when = j.at.Add(maxRuntime)
		case j.running, q.running == maxRunning:
			continue
		}
		if !ok || when.Before(at) {
			at, ok = when, true
		}
	}
	return at, ok
}
