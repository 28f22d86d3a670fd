package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim"
)

// batchOf sends a batch and returns status and body by id.
func (a admin) batchOf(body string) (map[string]int, map[string]string) {
	a.t.Helper()
	var answer struct {
		Responses []struct {
			ID     string
			Status int
			Body   json.RawMessage
		}
	}
	r := a.do("POST", "$batch", body)
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || r.status != 200 {
		a.t.Fatalf("%d %s", r.status, r.body)
	}
	status, bodies := map[string]int{}, map[string]string{}
	for _, one := range answer.Responses {
		status[one.ID], bodies[one.ID] = one.Status, string(one.Body)
	}
	return status, bodies
}

func TestBatch(t *testing.T) {
	t.Parallel()
	w := start(t)
	a := as(t, w, sim.GlobalAdmin)
	status, bodies := a.batchOf(`{"requests":[{"id":"a","method":"GET","url":"/me?$select=id"},{"id":"b","method":"GET","url":"/policies/defaultAppManagementPolicy"},` +
		`{"id":"c","method":"GET","url":"/organization"},{"id":"d","method":"POST","url":"/applications","headers":{"Content-Type":"application/json"},"body":{"displayName":"from a batch"}}]}`)
	if status["a"] != 200 || status["b"] != 403 || status["c"] != 200 || status["d"] != 201 || !strings.Contains(bodies["d"], `"displayName":"from a batch"`) {
		t.Errorf("%v %v", status, bodies)
	}
	// Assignments: chained they succeed one by one; side by side they collide.
	app, _ := w.App(sim.AppNoRoles)
	exchange, graphID := a.principalOf(sim.ExchangeAppID), a.principalOf(sim.GraphAppID)
	part := func(id, resource, role, after string) string {
		if after != "" {
			after = `,"dependsOn":["` + after + `"]`
		}
		return `{"id":"` + id + `","method":"POST","url":"/servicePrincipals/` + resource + `/appRoleAssignedTo","headers":{"content-type":"application/json"},"body":` +
			assignmentJSON(app.PrincipalID, resource, role) + after + `}`
	}
	status, _ = a.batchOf(`{"requests":[` + part("1", exchange, fullAccess, "") + "," + part("2", graphID, userRead, "") + `]}`)
	if status["1"] != 201 || status["2"] != 409 {
		t.Errorf("side by side: %v", status)
	}
	status, bodies = a.batchOf(`{"requests":[` + part("1", graphID, userRead, "") + "," + part("2", exchange, fullAccess, "1") + "," + part("3", graphID, "7ab1d382-f21e-4acd-a863-ba3e13f7da61", "2") + `]}`)
	if status["1"] != 201 || status["2"] != 400 || status["3"] != 424 || !strings.Contains(bodies["2"], "already exists") || !strings.Contains(bodies["3"], "FailedDependency") {
		t.Errorf("chained: %v %v", status, bodies)
	}
	get := `{"id":"%d","method":"GET","url":"/me"}`
	var many []string
	for i := range 21 {
		many = append(many, fmt.Sprintf(get, i))
	}
	for _, bad := range []string{`{}`, `{"requests":[]}`, `{"requests":[{"id":"1","method":"GET","url":"https://graph.microsoft.com/v1.0/me"}]}`, `{"requests":[{"id":"1","method":"GET","url":"/$batch"}]}`,
		`{"requests":[` + strings.Join(many, ",") + `]}`, `{"requests":[{"id":"","method":"GET","url":"/me"}]}`, `{"requests":[{"id":"1","method":"LOOK","url":"/me"}]}`,
		`{"requests":[{"id":"1","method":"GET","url":"/me"},{"id":"1","method":"GET","url":"/me"}]}`, `{"requests":[{"id":"1","method":"GET","url":"/me","dependsOn":["2"]},{"id":"2","method":"GET","url":"/me"}]}`,
		`{"requests":[{"id":"1","method":"POST","url":"/applications","body":{"displayName":"x"}}]}`, `{"requests":[{"id":"1","method":"GET","url":"/me","nonsense":1}]}`,
		`{"requests":[{"id":"1","method":"GET","url":"/me"},{"id":"2","method":"GET","url":"/me"},{"id":"3","method":"GET","url":"/me","dependsOn":["1","2"]}]}`,
		`{"requests":[{"id":"1","method":"GET","url":"/me"},{"id":"2","method":"GET","url":"/me","dependsOn":["1"]},{"id":"3","method":"GET","url":"/me"},{"id":"4","method":"GET","url":"/me","dependsOn":["3"]}]}`} {
		a.refused(400, `"error"`, "POST", "$batch", bad)
	}
}

func TestBatchThrottling(t *testing.T) {
	t.Parallel()
	w := start(t, "throttle=1s,1,graph")
	a := as(t, w, sim.GlobalAdmin)
	body := `{"requests":[{"id":"1","method":"GET","url":"/me"},{"id":"2","method":"GET","url":"/organization"}]}`
	if r := a.do("POST", "$batch", body); r.status != 200 || strings.Count(r.body, `"status":429`) != 2 || !strings.Contains(r.body, `"Retry-After":"1"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if status, _ := a.batchOf(body); status["1"] != 200 || status["2"] != 200 {
		t.Errorf("%v", status)
	}
}

// TestOverlappingWrites: the second write to an application comes while the
// answer to the first is on its way.
func TestOverlappingWrites(t *testing.T) {
	t.Parallel()
	arrived, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w := startWith(t, sim.Options{RTT: time.Millisecond, Sleep: func(context.Context, time.Duration) error {
		first := false
		once.Do(func() { first = true })
		if first {
			close(arrived)
			<-leave
		}
		return nil
	}})
	app, _ := w.App(sim.AppBackup)
	other, _ := w.App(sim.AppNoRoles)
	a := as(t, w, sim.GlobalAdmin)
	slow := make(chan int, 1)
	go func() { slow <- a.do("PATCH", "applications/"+app.ObjectID, `{"notes":"one"}`).status }()
	<-arrived
	a.refused(409, "Directory_ConcurrencyViolation", "PATCH", "applications/"+app.ObjectID, `{"notes":"two"}`)
	a.must(204, "PATCH", "applications/"+other.ObjectID, `{"notes":"two"}`)
	close(leave)
	if status := <-slow; status != http.StatusNoContent {
		t.Errorf("%d", status)
	}
	a.must(204, "PATCH", "applications/"+app.ObjectID, `{"notes":"three"}`)
}

// TestReplication follows a registration through replicas that lag.
func TestReplication(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := startWith(t, sim.Options{Now: clock.now, Faults: []string{"replication=20s,1"}})
	a := as(t, w, sim.GlobalAdmin)
	app := a.must(201, "POST", "applications", `{"displayName":"fresh","keyCredentials":[`+keyJSON(w, "")+`]}`)
	id, appID := app["id"].(string), app["appId"].(string)
	texts := map[string]bool{}
	count := func(method, path, body string) {
		for range 8 {
			if r := a.do(method, path, body); r.status >= 400 {
				texts[fmt.Sprint(r.status, " ", r.code(t))] = true
			}
		}
	}
	count("GET", "applications/"+id, "")
	count("POST", "servicePrincipals", `{"appId":"`+appID+`"}`)
	if r := ask(t, w, w.GraphURL()+"/.default", map[string]string{"client_id": appID}); r.code(t) != 700016 {
		t.Errorf("%s", r.body)
	}
	clock.add(21 * time.Second)
	client := a.must(201, "POST", "servicePrincipals", `{"appId":"`+appID+`"}`)["id"].(string)
	if r := ask(t, w, w.GraphURL()+"/.default", map[string]string{"client_id": appID}); r.code(t) != 7000229 {
		t.Errorf("%s", r.body)
	}
	exchange := a.principalOf(sim.ExchangeAppID)
	count("POST", "servicePrincipals/"+exchange+"/appRoleAssignedTo", assignmentJSON(client, exchange, fullAccess))
	clock.add(21 * time.Second)
	if r := a.do("POST", "servicePrincipals/"+exchange+"/appRoleAssignedTo", assignmentJSON(client, exchange, fullAccess)); r.status != 201 && !strings.Contains(r.body, "already exists") {
		t.Errorf("%d %s", r.status, r.body)
	}
	for _, want := range []string{"404 Request_ResourceNotFound", "400 NoBackingApplicationObject", "403 Authorization_RequestDenied", "400 Request_BadRequest"} {
		if !texts[want] {
			t.Errorf("never seen: %s in %v", want, texts)
		}
	}
	// The consent takes its time, then every replica agrees.
	secret := a.must(200, "POST", "applications/"+id+"/addPassword", "")["secretText"].(string)
	values := map[string]string{"client_id": appID, "client_secret": secret}
	if r := ask(t, w, w.OutlookURL()+"/.default", values); r.code(t) != 7000215 {
		t.Errorf("%s", r.body)
	}
	clock.add(21 * time.Second)
	for range 12 {
		raw, _ := ask(t, w, w.OutlookURL()+"/.default", values).json(t)["access_token"].(string)
		if claims := claimsOf(t, w, raw); fmt.Sprint(claims["roles"]) != "[full_access_as_app]" {
			t.Errorf("%v", claims["roles"])
		}
	}
}

func TestDeletedItemsFade(t *testing.T) {
	t.Parallel()
	clock := newClock()
	w := startWith(t, sim.Options{Now: clock.now})
	app, _ := w.App(sim.AppNoServicePrincipal)
	as(t, w, sim.GlobalAdmin).must(204, "DELETE", "applications/"+app.ObjectID, "")
	clock.add(29 * 24 * time.Hour)
	as(t, w, sim.GlobalAdmin).must(200, "GET", "directory/deletedItems/"+app.ObjectID, "")
	clock.add(2 * 24 * time.Hour)
	as(t, w, sim.GlobalAdmin).refused(404, "", "GET", "directory/deletedItems/"+app.ObjectID, "")
}
