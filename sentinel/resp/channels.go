package resp

import "slices"

// Warning says whether Sentinel has notification scripts told of an event.
func (m Message) Warning() bool { return !slices.Contains(quiet, m.Channel) }

// quiet are the channels of which it does not: what is normal, and will pass.
var quiet = []string{
	"+slave", "+sentinel", "+sentinel-address-switch", "+sentinel-address-update", "+sentinel-invalid-addr", "+reboot",
	"+role-change", "-role-change", "+failover-state-send-slaveof-noone", "+failover-state-wait-promotion", "+slave-reconf-sent",
	"+slave-reconf-inprog", "+slave-reconf-done", "-slave-reconf-sent-timeout", "+slave-reconf-sent-be", "+convert-to-slave",
	"+fix-slave-config",
}
