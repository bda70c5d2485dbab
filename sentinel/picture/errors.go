package picture

import (
	"errors"
	"fmt"
)

// Refusals of what is asked for, wherever that is. Test with errors.Is: the agent may add what it knows.
var (
	ErrUnknownMaster = errors.New("no such master: picket status lists those that the agents have agreed on")
	ErrInProgress    = errors.New("a failover of this master is running already")
	ErrNoReplica     = errors.New("no replica of this master can be promoted")
	ErrNoMajority    = errors.New("no majority of agents can be reached, so nothing can be decided: start agents, or repair the network between them")
	ErrDuplicate     = errors.New("there is another master of this name")
	ErrTaken         = errors.New("the server belongs to another master")
	ErrScriptsDenied = errors.New("the configuration forbids to change scripts at run time")
	ErrNotText       = errors.New("the value is not valid UTF-8, and could not be kept as it is: use another one, or give it in a file")
)

// OptionError says which of the options that were to be set is wrong.
type OptionError struct {
	Option, Value string
	Err           error
}

// Error leaves the value out, which may be a secret.
func (e *OptionError) Error() string { return fmt.Sprintf("set %s: %v", e.Option, e.Err) }

func (e *OptionError) Unwrap() error { return e.Err }
