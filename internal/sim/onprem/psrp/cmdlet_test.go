package psrp_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
	"github.com/c2conn/c2conn/internal/sim/onprem/psrp"
)

func mailbox(i int) org.User {
	return org.User{SAM: fmt.Sprintf("user%04d", i), UPN: fmt.Sprintf("user%04d@corp.test", i), DisplayName: fmt.Sprintf("User %04d", i), Address: fmt.Sprintf("user%04d@corp.test", i), Server: "EXCH01", Database: "DB01"}
}

// value gives the text of a property.
func value(object, name string) string {
	_, rest, ok := strings.Cut(object, ` N="`+name+`"`)
	if !ok {
		return "?"
	}
	if strings.HasPrefix(rest, " />") {
		return "" // Nil
	}
	if strings.HasPrefix(rest, " RefId=") { // an enumeration
		_, rest, _ = strings.Cut(rest, "<ToString")
	}
	_, rest, _ = strings.Cut(rest, ">")
	v, _, _ := strings.Cut(rest, "<")
	return v
}

func values(objects []string, name string) (list []string) {
	for _, o := range objects {
		list = append(list, value(o, name))
	}
	return list
}

func TestNoLanguage(t *testing.T) {
	t.Parallel()
	c := newClient(t, newServer(t, nil)).open()
	one := commandXML(100, "Get-Mailbox", false, nil)
	for name, pipeline := range map[string]string{
		"script":       pipelineXML(commandXML(100, "Get-Mailbox -ResultSize 5", true, nil)),
		"pipe":         pipelineXML(one, commandXML(200, "Get-User", false, nil)),
		"script block": pipelineXML(commandXML(100, "Get-Mailbox", false, []param{{"Identity", `<SBK N="V">$true</SBK>`}})),
		"hidden block": pipelineXML(commandXML(100, "Get-Mailbox", false, []param{{"Identity", `<Obj N="V" RefId="150"><LST><SBK>1</SBK></LST></Obj>`}})),
		"statements":   strings.Replace(pipelineXML(one), `<Nil N="ExtraCmds" />`, `<Obj N="ExtraCmds" RefId="60"><LST><Obj RefId="61"><MS><Nil N="Cmds" /></MS></Obj><Obj RefId="62"><MS><Nil N="Cmds" /></MS></Obj></LST></Obj>`, 1),
	} {
		id, a := c.start(pipeline)
		if a.code() != 0 {
			t.Errorf("%s: %s", name, a.text)
			continue
		}
		o := c.collect(id)
		if !o.failed() || len(o.objects) != 0 || value(o.state, "FullyQualifiedErrorId") != "ScriptsNotAllowed" ||
			!strings.Contains(o.state, "<ToString>The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.</ToString>") {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestBinding(t *testing.T) {
	t.Parallel()
	c := newClient(t, newServer(t, nil)).open()
	for name, test := range map[string]struct {
		cmdlet string
		params []param
		id     string
		text   string
	}{
		"unknown command":   {"Get-Process", nil, "CommandNotFoundException", "The term 'Get-Process' is not recognized as the name of a cmdlet"},
		"unknown parameter": {"Get-Mailbox", []param{text("Colour", "red")}, "NamedParameterNotFound,Microsoft.Exchange.Management.RecipientTasks.GetMailbox", "A parameter cannot be found that matches parameter name 'Colour'."},
		"ambiguous":         {"Get-Mailbox", []param{text("R", "1")}, "AmbiguousParameter,", "Possible matches include: -ResultSize -RecipientTypeDetails."},
		"missing value":     {"Get-Mailbox", []param{present("Identity")}, "MissingArgument,", "Missing an argument for parameter 'Identity'."},
		"no number":         {"Get-Mailbox", []param{text("ResultSize", "many")}, "ParameterArgumentTransformationError,", `Cannot convert value &quot;many&quot; to type &quot;Microsoft.Exchange.Data.Unlimited`},
		"text for boolean":  {"Get-ManagementRoleAssignment", []param{text("Delegating", "false")}, "ParameterArgumentTransformationError,", "Boolean parameters accept only Boolean values"},
		"no such value":     {"Get-Mailbox", []param{text("RecipientTypeDetails", "Robot")}, "ParameterArgumentTransformationError,", "Unable to match the identifier name Robot"},
		"twice":             {"Get-Mailbox", []param{text("Identity", "a"), text("identity", "b")}, "ParameterAlreadyBound,", "specified more than once"},
		"two sets":          {"Get-ManagementRoleAssignment", []param{text("Identity", "a"), text("RoleAssignee", "alice")}, "AmbiguousParameterSet,", "Parameter set cannot be resolved"},
		"too many":          {"Get-OrganizationConfig", []param{text("", "a")}, "PositionalParameterNotFound,", "accepts argument 'a'"},
		"mandatory":         {"New-ManagementRoleAssignment", []param{text("Name", "x")}, "MissingMandatoryParameter,", "missing mandatory parameters: Role."},
		"nobody to ask":     {"Remove-ManagementRoleAssignment", []param{text("Identity", "x")}, "HostException,", "does not support user interaction"},
	} {
		o := c.run(test.cmdlet, test.params...)
		if !o.failed() || len(o.objects)+len(o.errors) != 0 || !strings.HasPrefix(value(o.state, "FullyQualifiedErrorId"), test.id) || !strings.Contains(o.state, test.text) {
			t.Errorf("%s: %+v", name, o)
		}
	}
	for name, params := range map[string][]param{
		"prefix":            {text("Ident", "alice")},
		"position":          {text("", "alice")},
		"value apart":       {present("Identity"), text("", "alice")},
		"dash and colon":    {text("-Identity:", "alice")},
		"number as Int32":   {{"ResultSize", `<I32 N="V">1</I32>`}, text("Anr", "ali")},
		"common parameters": {text("Identity", "alice"), text("ErrorAction", "stop"), text("wa", "SilentlyContinue")},
		"an object's value": {{"Identity", `<Obj N="V" RefId="150"><S>alice</S></Obj>`}},
	} {
		if o := c.run("get-mailbox", params...); !slices.Equal(values(o.objects, "SamAccountName"), []string{"alice"}) {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	c := newClient(t, newServer(t, nil))
	c.user = "viewer@corp.test"
	c.open()
	if o := c.run("Get-Mailbox"); len(o.objects) != 3 {
		t.Errorf("Get-Mailbox: %+v", o)
	}
	if o := c.run("New-ManagementRoleAssignment", text("Role", org.Impersonation), text("User", "viewer")); value(o.state, "FullyQualifiedErrorId") != "CommandNotFoundException" {
		t.Errorf("a cmdlet of other roles: %+v", o)
	}
	if o := c.run("Get-ClientAccessService", present("IncludeAlternateServiceAccountCredentialPassword")); !strings.HasPrefix(value(o.state, "FullyQualifiedErrorId"), "NamedParameterNotFound,") {
		t.Errorf("a parameter of other roles: %+v", o)
	}
}

func TestMailboxes(t *testing.T) {
	t.Parallel()
	c := newClient(t, newServer(t, func(o *psrp.Options) {
		o.Organisation = newOrg(o.Now)
		for i := range 1000 {
			o.Organisation.Add(mailbox(i))
		}
	})).open()
	c.size = 512_000
	for name, test := range map[string]struct {
		params  []param
		want    int
		warning string
	}{
		"default":      {nil, 1000, "By default, only the first 1000 items are returned."},
		"five":         {[]param{text("ResultSize", "5")}, 5, "There are more results available than are currently displayed. To view them, increase the value for the ResultSize parameter."},
		"unlimited":    {[]param{text("ResultSize", "unlimited")}, 1003, ""},
		"exactly":      {[]param{text("ResultSize", "1003")}, 1003, ""},
		"rooms":        {[]param{text("RecipientTypeDetails", "roommailbox")}, 1, ""},
		"two types":    {[]param{{"RecipientTypeDetails", `<Obj N="V" RefId="150"><LST><S>RoomMailbox</S><S>SharedMailbox</S></LST></Obj>`}}, 1, ""},
		"public":       {[]param{present("PublicFolder")}, 1, ""},
		"names":        {[]param{text("Anr", "user 000")}, 10, ""},
		"pattern":      {[]param{text("Identity", "User 099*")}, 10, ""},
		"other server": {[]param{text("Server", "EXCH02")}, 0, ""},
		"quiet":        {[]param{text("ResultSize", "5"), text("WarningAction", "SilentlyContinue")}, 5, ""},
	} {
		o := c.run("Get-Mailbox", test.params...)
		if len(o.objects) != test.want || !o.completed() || len(o.warnings) != 0 && test.warning == "" || test.warning != "" && (len(o.warnings) != 1 || !strings.Contains(o.warnings[0], test.warning)) {
			t.Errorf("%s: %d objects, %v", name, len(o.objects), o.warnings)
		}
	}
	o := c.run("Get-Mailbox", text("Identity", "a.smith@contoso.example"))
	if len(o.objects) != 1 {
		t.Fatalf("%+v", o)
	}
	for name, want := range map[string]string{
		"PrimarySmtpAddress": "alice@contoso.example", "UserPrincipalName": "alice@contoso.example", "RecipientTypeDetails": "UserMailbox", "RecipientType": "UserMailbox",
		"Identity": "corp.test/Users/Alice Smith", "HiddenFromAddressListsEnabled": "false", "ForwardingAddress": "",
	} {
		if got := value(o.objects[0], name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if !strings.Contains(o.objects[0], `<T>Microsoft.Exchange.Data.Directory.Management.Mailbox</T>`) || !strings.Contains(o.objects[0], `<LST><S>SMTP:alice@contoso.example</S><S>smtp:a.smith@contoso.example</S></LST>`) {
		t.Errorf("%s", o.objects[0])
	}
	for _, identity := range []string{"nobody", "Administrator"} {
		o = c.run("Get-Mailbox", text("Identity", identity))
		if len(o.errors) != 1 || !o.completed() || !strings.Contains(o.errors[0], "<ToString>The operation couldn't be performed because object '"+identity+"' couldn't be found on 'dc1.corp.test'.</ToString>") ||
			!strings.Contains(value(o.errors[0], "FullyQualifiedErrorId"), "[FailureCategory=Cmdlet-ManagementObjectNotFoundException]") {
			t.Errorf("%s: %+v", identity, o)
		}
	}
	if o := c.run("Get-Mailbox", text("Identity", "nobody"), text("ErrorAction", "Stop")); !o.failed() || len(o.errors) != 0 {
		t.Errorf("stop at the first error: %+v", o)
	}
	if o := c.run("Get-Mailbox", text("Identity", "nobody"), text("ErrorAction", "SilentlyContinue")); !o.completed() || len(o.errors) != 0 {
		t.Errorf("silently: %+v", o)
	}
	if o := c.run("Get-User", text("Identity", "norps")); value(o.objects[0], "RemotePowerShellEnabled") != "false" {
		t.Errorf("%+v", o)
	}
	if o := c.run("Get-CASMailbox", text("Identity", "alice")); value(o.objects[0], "MAPIEnabled") != "true" || value(o.objects[0], "EwsEnabled") != "" {
		t.Errorf("%+v", o)
	}
	if o := c.run("Get-Recipient", text("Anr", "Alice")); !slices.Equal(values(o.objects, "PrimarySmtpAddress"), []string{"alice@contoso.example"}) {
		t.Errorf("%+v", o)
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	c := newClient(t, newServer(t, nil)).open()
	o := c.run("Get-ExchangeServer")
	if len(o.objects) != 1 {
		t.Fatalf("%+v", o)
	}
	for name, want := range map[string]string{"Name": "EXCH01", "Fqdn": "exch01.corp.test", "AdminDisplayVersion": "Version 15.2 (Build 1748.10)", "Edition": "Standard", "ServerRole": "Mailbox"} {
		if got := value(o.objects[0], name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if o := c.run("Get-ExchangeServer", text("Identity", "EXCH09")); len(o.errors) != 1 {
		t.Errorf("%+v", o)
	}
	for _, test := range []struct {
		params    []param
		asa, more string
	}{
		{nil, "", "https://autodiscover.corp.test/Autodiscover/Autodiscover.xml"},
		{[]param{present("IncludeAlternateServiceAccountCredentialStatus")}, `Latest: 3/11/2024 9:30:00 AM, CORP\EXASA$, Previous: &lt;Not set&gt;`, "https://autodiscover.corp.test/Autodiscover/Autodiscover.xml"},
	} {
		o := c.run("Get-ClientAccessService", test.params...)
		if len(o.objects) != 1 || value(o.objects[0], "AlternateServiceAccountConfiguration") != test.asa || value(o.objects[0], "AutoDiscoverServiceInternalUri") != test.more {
			t.Errorf("%+v", o)
		}
	}
	if o := c.run("Get-OrganizationConfig"); len(o.objects) != 1 || value(o.objects[0], "Name") != "First Organization" {
		t.Errorf("%+v", o)
	}
}

func TestImpersonationIsGranted(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	o := newOrg(func() time.Time { return now })
	s := newServer(t, func(opt *psrp.Options) { opt.Organisation = o })
	if err := s.Break("assignment-delay=5m"); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, s).open()
	role := text("Role", org.Impersonation)
	got := c.run("Get-ManagementRoleAssignment", role, text("RoleAssignee", "exadmin@corp.test"))
	if !slices.Equal(values(got.objects, "RoleAssignmentDelegationType"), []string{"DelegatingOrgWide"}) || value(got.objects[0], "RoleAssigneeName") != "Organization Management" ||
		value(got.objects[0], "RoleAssigneeType") != "RoleGroup" || value(got.objects[0], "EffectiveUserName") != "All Group Members" {
		t.Fatalf("%+v", got)
	}
	if got := c.run("Get-ManagementRoleAssignment", role, text("RoleAssignee", "exadmin@corp.test"), truth("Delegating", false)); len(got.objects) != 0 || !got.completed() {
		t.Errorf("regular: %+v", got)
	}
	name := text("Name", "c2conn impersonation exadmin")
	got = c.run("New-ManagementRoleAssignment", name, role, text("User", "exadmin@corp.test"), text("CustomRecipientWriteScope", "Rooms"))
	if len(got.objects) != 1 || value(got.objects[0], "RecipientWriteScope") != "CustomRecipientScope" || value(got.objects[0], "CustomRecipientWriteScope") != "Rooms" ||
		value(got.objects[0], "RoleAssignmentDelegationType") != "Regular" || value(got.objects[0], "Enabled") != "true" {
		t.Fatalf("%+v", got)
	}
	admin, _ := o.Find("exadmin")
	room, _ := o.Find("room1")
	if o.MayImpersonate(admin, room) {
		t.Error("in force at once")
	}
	now = now.Add(5 * time.Minute)
	if alice, _ := o.Find("alice"); !o.MayImpersonate(admin, room) || o.MayImpersonate(admin, alice) {
		t.Error("not in force, or beyond its scope")
	}
	if got := c.run("New-ManagementRoleAssignment", name, role, text("User", "exadmin")); len(got.errors) != 1 || !strings.Contains(got.errors[0], "Active Directory operation failed on dc1.corp.test. The object 'CN=c2conn impersonation exadmin,CN=Role Assignments,CN=RBAC,") ||
		!strings.Contains(got.errors[0], "ADObjectAlreadyExistsException") {
		t.Errorf("a second of that name: %+v", got)
	}
	got = c.run("Get-ManagementRoleAssignment", role, text("RoleAssignee", "exadmin"), truth("Delegating", false), present("GetEffectiveUsers"))
	if !slices.Equal(values(got.objects, "EffectiveUserName"), []string{"Exchange Admin"}) || value(got.objects[0], "AssignmentMethod") != "Direct" {
		t.Errorf("%+v", got)
	}
	got = c.run("Get-ManagementRoleAssignment", role, truth("Delegating", true), present("GetEffectiveUsers"))
	if !slices.Equal(values(got.objects, "EffectiveUserName"), []string{"Exchange Admin", "No Remote"}) || value(got.objects[0], "AssignmentChain") != "Organization Management" {
		t.Errorf("%+v", got)
	}
	if got := c.run("Get-ManagementRoleAssignment", text("Identity", "c2conn*")); len(got.objects) != 1 {
		t.Errorf("by pattern: %+v", got)
	}
	if got := c.run("Remove-ManagementRoleAssignment", text("Identity", "c2conn impersonation exadmin"), truth("Confirm", false)); !got.completed() || len(got.errors) != 0 {
		t.Errorf("%+v", got)
	}
	if got := c.run("Remove-ManagementRoleAssignment", text("Identity", "c2conn impersonation exadmin"), truth("Confirm", false)); len(got.errors) != 1 {
		t.Errorf("removed twice: %+v", got)
	}
	if o.MayImpersonate(admin, room) {
		t.Error("in force after it was removed")
	}
	for _, a := range o.Assignments() {
		if a.Name == "ApplicationImpersonation-Organization Management-Delegating" {
			if err := o.Unassign(nil, a.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := c.run("New-ManagementRoleAssignment", role, text("User", "exadmin")); len(got.errors) != 1 || !strings.Contains(got.errors[0], "You must be assigned a delegating role assignment") {
		t.Errorf("without a delegating assignment: %+v", got)
	}
	for _, wrong := range [][]param{{role, text("User", "ghost")}, {text("Role", "Nothing"), text("User", "alice")}, {role, text("User", "alice"), text("CustomRecipientWriteScope", "Nowhere")}, {role, text("SecurityGroup", "ghosts")}} {
		if got := c.run("New-ManagementRoleAssignment", wrong...); len(got.errors) != 1 {
			t.Errorf("%v: %+v", wrong, got)
		}
	}
	if got := c.run("Get-ManagementScope"); !slices.Equal(values(got.objects, "Name"), []string{"Rooms"}) {
		t.Errorf("%+v", got)
	}
}
