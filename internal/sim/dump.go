package sim

import "encoding/json"

// Dump is the tenant's registrations as the primary holds them, as JSON:
// applications, service principals but for Microsoft's own, assignments and
// deleted items. Times are of the world's clock; secrets are not in it.
func (w *World) Dump() ([]byte, error) {
	t := w.dir.log.newest()
	out := struct {
		Applications []fields             `json:"applications"`
		Principals   []fields             `json:"service_principals"`
		Assignments  []*appRoleAssignment `json:"assignments"`
		Deleted      []fields             `json:"deleted"`
	}{[]fields{}, []fields{}, t.assignments, []fields{}}
	for _, a := range t.applications {
		out.Applications = append(out.Applications, fieldsOf(a))
	}
	for _, p := range t.principals {
		if p.AppOwner != microsoftTenant {
			out.Principals = append(out.Principals, fieldsOf(p))
		}
	}
	for _, d := range t.remains(w.now()) {
		if d.application != nil {
			out.Deleted = append(out.Deleted, typed("application", fieldsOf(d.application)))
		} else {
			out.Deleted = append(out.Deleted, typed("servicePrincipal", fieldsOf(d.principal)))
		}
	}
	return json.MarshalIndent(out, "", "  ")
}

// typed names an object's type, as where objects of several types meet.
func typed(kind string, f fields) fields {
	f["@odata.type"] = json.RawMessage(`"#microsoft.graph.` + kind + `"`)
	return f
}
