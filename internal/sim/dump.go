package sim

import "encoding/json"

// Dump is the tenant's registrations as the primary holds them, as JSON:
// applications, service principals but for Microsoft's own, assignments and
// deleted items. Times are of the world's clock; secrets are not in it. With several
// tenants those of the others follow, with the most requests that each had at one time.
func (w *World) Dump() ([]byte, error) {
	out := w.dump()
	if len(w.tenants) > 1 {
		out.Tenant, out.MostParallel = w.TenantDomain, w.MostParallel()
		for _, t := range w.tenants[1:] {
			d := t.dump()
			d.Tenant, d.MostParallel = t.TenantDomain, t.MostParallel()
			out.Others = append(out.Others, d)
		}
	}
	return json.MarshalIndent(out, "", "  ")
}

// tenantDump is one tenant in a Dump.
type tenantDump struct {
	Tenant       string               `json:"tenant,omitempty"`
	MostParallel int                  `json:"most_parallel,omitempty"`
	Applications []fields             `json:"applications"`
	Principals   []fields             `json:"service_principals"`
	Assignments  []*appRoleAssignment `json:"assignments"`
	Deleted      []fields             `json:"deleted"`
	Others       []tenantDump         `json:"tenants,omitempty"`
}

func (w *World) dump() tenantDump {
	t := w.dir.log.newest()
	out := tenantDump{Applications: []fields{}, Principals: []fields{}, Assignments: t.assignments, Deleted: []fields{}}
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
	return out
}

// typed names an object's type, as where objects of several types meet.
func typed(kind string, f fields) fields {
	f["@odata.type"] = json.RawMessage(`"#microsoft.graph.` + kind + `"`)
	return f
}
