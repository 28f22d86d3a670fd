package wizard

import (
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/task"
)

// Scene is a wizard on the screen, for tests from outside the package that want to see
// what a user sees.
type Scene struct{ d *driver }

// NewScene starts flow with the answers that src gives, as c2conn does with its flags.
func NewScene(t *testing.T, flow *Flow, src Source) *Scene {
	t.Helper()
	tabled(flow)
	for i := range flow.Steps {
		for j := range flow.Steps[i].Fields {
			if f := &flow.Steps[i].Fields[j]; f.Key == keyCloud {
				f.Options = cloudOptions
			}
		}
	}
	s := testSessionOf(flow)
	s.Fill(src)
	do := autoDeeds(foundFor(flow.Kind))
	return &Scene{driveWith(t, s, &do)}
}

// EditScene edits a connection that was registered automatically.
func EditScene(t *testing.T) *Scene { t.Helper(); return &Scene{drive(t, editing(t))} }

// text is what is drawn: too narrow for the list of steps at the left, which would stand
// between the lines of a text, and so high that nothing is left out.
func (sc *Scene) text() string { return sc.d.size(sidebarFrom-1, 400).text() }

// Keys is the line that names the keys, with all of them.
func (sc *Scene) Keys() string {
	wide := strings.TrimRight(sc.d.size(200, 24).text(), "\n")
	return wide[strings.LastIndex(wide, "\n"):]
}

// Session is what the scene shows.
func (sc *Scene) Session() *Session { return sc.d.m.s }

// At is the page of the step, whether or not the steps before it are answered.
func (sc *Scene) At(step Step) string {
	if step.Action == ShowPlan {
		return sc.plan()
	}
	sc.d.hold = true
	sc.d.m.enter(step.ID)
	return sc.text()
}

// plan signs in and goes on until the plan is shown.
func (sc *Scene) plan() string {
	sc.d.m.enter("sign-in")
	for st, _, _ := sc.d.m.current(); st.Action != ShowPlan; st, _, _ = sc.d.m.current() {
		sc.d.next()
	}
	return sc.text()
}

// HelpAt is the page of help of the step.
func (sc *Scene) HelpAt(step Step) string {
	sc.At(step)
	sc.d.keys("ctrl+g")
	return sc.text()
}

// Configured is the Configuration after a run in which every check has passed.
func (sc *Scene) Configured() string {
	var results []task.Result
	for _, one := range sc.Session().Tasks() {
		results = append(results, pass(one.ID, one.Title, ""))
	}
	sc.d.m.configure = ending(results)
	sc.d.m.enter(ConfigurationStep)
	sc.d.run(sc.d.m.startRun())
	return sc.text()
}

// DrawManage is the screen of all connections after keys were pressed; with changes
// that are not saved yet, or without.
func DrawManage(t *testing.T, changed bool, keys ...string) string {
	t.Helper()
	if changed {
		return withChanges(t).size(120, 40).keys(keys...).text()
	}
	return manageOver(t, someProfiles()...).size(120, 40).keys(keys...).text()
}
