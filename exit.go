package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/cli"
	"picket/sentinel/state"
)

// Exit codes; docs/cli.md tells them to scripts.
const (
	exitOK        = 0
	exitFailure   = 1 // something else went wrong, or was given up
	exitUsage     = 2 // the command line or a configuration is wrong
	exitRefused   = 3 // an agent refuses; nothing was changed
	exitUnreached = 4 // no agent answers, or those that do have no majority; nothing was changed
	exitTimeout   = 5 // the time is over; what was asked for may have been done
	exitNotFound  = 6 // there is no such master, key, agent or replica
	exitUnwell    = 7 // --exit-code was given, and not all is well
)

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// unwellError ends a command that was to fail if something is not well; it says what.
type unwellError []string

func (e unwellError) Error() string { return "not all is well: " + strings.Join(e, "; ") }

// exitCode says how a command has ended.
func exitCode(err error) int {
	var usage usageError
	var bad *config.Error
	var unreached *cli.UnreachedError
	var lost *cli.LostError
	var problem api.Problem
	var unwell unwellError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &bad), errors.Is(err, state.ErrInvalid):
		return exitUsage
	case errors.As(err, &unwell):
		return exitUnwell
	case errors.As(err, &lost): // first: it may be for any of the following
		return exitTimeout
	case errors.As(err, &problem):
		return cmp.Or(codes[problem.Status], exitFailure)
	case errors.As(err, &unreached): // first: to connect may have taken too long, too
		return exitUnreached
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	}
	return exitFailure
}

// codes are those of what agents answer; any other answer is a failure.
var codes = map[int]int{
	http.StatusBadRequest: exitUsage, http.StatusRequestEntityTooLarge: exitUsage,
	http.StatusUnauthorized: exitRefused, http.StatusForbidden: exitRefused, http.StatusConflict: exitRefused, http.StatusPreconditionFailed: exitRefused,
	http.StatusTooManyRequests: exitRefused, http.StatusInsufficientStorage: exitRefused,
	http.StatusServiceUnavailable: exitUnreached, http.StatusGatewayTimeout: exitTimeout,
	http.StatusNotFound: exitNotFound,
}
