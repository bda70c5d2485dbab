package picture

import "errors"

// Refusals of Backend.Failover, wherever it is asked for. Test with errors.Is: the agent may add what it knows.
var (
	ErrUnknownMaster = errors.New("no such master: picket status lists those that the agents have agreed on")
	ErrInProgress    = errors.New("a failover of this master is running already")
	ErrNoReplica     = errors.New("no replica of this master can be promoted")
	ErrNoMajority    = errors.New("no majority of agents can be reached, so nothing can be decided: start agents, or repair the network between them")
)
