package sim

import (
	"picket/sentinel/sim/model"
)

// checks are the promises. What happens is told to all that want to know.
type checks struct {
	writer  *writerCheck
	durable *durableCheck
	wipe    *wipeCheck
	epochs  *epochCheck
	steps   *stepCheck
	hooks   *hookCheck
}

func newChecks(w *world) checks {
	return checks{&writerCheck{world: w}, newDurableCheck(w), &wipeCheck{world: w}, newEpochCheck(w),
		newStepCheck(w), newHookCheck(w)}
}

// redis is told what happens inside a server, with its lock held.
func (c checks) redis(m *machine, n int, e model.Event) {
	if e.Kind != model.Wrote {
		m.world.story.tell(m.name, "redis %s: %s", e.Addr, describe(e))
	}
	c.steps.happened(e)
	if n == 0 { // the others have no agents beside them
		c.writer.happened(m, e)
		c.wipe.happened(m, e)
	}
}

// end looks at what is left when the system has come to rest.
func (c checks) end() {
	c.durable.end()
	c.hooks.end()
}
