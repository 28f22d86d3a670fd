package wizard

import (
	"github.com/c2conn/c2conn/connections"
)

// Flows lists the flows that lead to a connection, in the order of the commands.
func Flows() []*Flow {
	return []*Flow{Exchange(), SharePoint(), MigrationSource(), MigrationTarget()}
}

// FlowOf is the flow that makes connections of the kind; nil where there is none.
func FlowOf(kind connections.Kind) *Flow {
	for _, f := range Flows() {
		if f.Kind == kind {
			return f
		}
	}
	return nil
}
