package psrp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// Shell is an open shell: a runspace pool that nobody has deleted yet.
type Shell struct {
	ID       string
	User     string // sAMAccountName
	Opened   time.Time
	Used     time.Time
	Commands int // that were not signalled to end
}

// Open lists the open shells, the oldest first.
func (s *Server) Open() []Shell {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	var list []Shell
	for _, sh := range s.shells {
		list = append(list, Shell{sh.id, sh.user.SAM, sh.opened, sh.used, len(sh.commands)})
	}
	slices.SortFunc(list, func(a, b Shell) int {
		if c := a.Opened.Compare(b.Opened); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// poolState is a RunspacePoolState ([MS-PSRP] 2.2.3.4).
type poolState int32

const (
	poolBeforeOpen poolState = 0
	poolOpened     poolState = 2
)

// shell is a WS-Management shell with its runspace pool. Server.mu guards it.
type shell struct {
	s      *Server
	id     string
	user   org.User
	opened time.Time
	used   time.Time
	idle   time.Duration
	polls  int // requests that wait

	pool       org.GUID
	capability bool // SESSION_CAPABILITY came
	state      poolState
	input      defragmenter
	output     stream
	commands   map[string]*command
	lastObject uint64 // of our fragments

	runspaces chan struct{} // one token for each command that may run
}

// expire ends the shells that were idle for too long. Server.mu is held.
func (s *Server) expire() {
	now := s.o.Now()
	for id, sh := range s.shells {
		if sh.polls == 0 && now.Sub(sh.used) >= sh.idle {
			sh.end(shellNotFound(sh.id))
			delete(s.shells, id)
		}
	}
}

// find gives the shell of a request and marks it as used. Server.mu is held.
func (s *Server) find(q *request) (*shell, *wsmanFault) {
	s.expire()
	if q.shellID == "" {
		return nil, insufficientSelectors()
	}
	sh := s.shells[strings.ToUpper(q.shellID)]
	if sh == nil {
		return nil, shellNotFound(q.shellID)
	}
	if u, ok := s.o.Organisation.Find(q.user); !ok || u.SAM != sh.user.SAM {
		return nil, accessDenied("")
	}
	sh.used = s.o.Now()
	return sh, nil
}

// create opens a shell ([MS-WSMV] 3.1.4.5.2, [MS-PSRP] 3.2.5.3.1).
func (s *Server) create(q *request) (string, *wsmanFault) {
	user, known := s.o.Organisation.Find(q.user)
	if !known || user.NoRemotePowerShell || s.fault("access-denied") != nil {
		return "", s.remoteAccessDenied()
	}
	if q.shellID != "" {
		return "", unexpectedSelectors("The WS-Management service cannot process the request because the URI contains an unexpected selector. ")
	}
	switch q.options["PROTOCOLVERSION"] {
	case "2.1", "2.2", "2.3":
	default:
		return "", invalidOptions("The option protocolversion is missing or names a version that is not supported. ")
	}
	sh, creation, fault := s.parseShell(q)
	if fault != nil {
		return "", fault
	}
	sh.user = user
	messages, err := sh.input.add(creation)
	if err != nil {
		return "", protocolError(err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	switch {
	case s.ctx.Err() != nil:
		return "", aborted()
	case s.shells[sh.id] != nil:
		return "", alreadyExists()
	}
	count := 0
	for _, other := range s.shells {
		if other.user.SAM == user.SAM {
			count++
		}
	}
	if count >= s.o.MaxShells || s.faultLocked("quota") != nil {
		return "", quotaFull(s.o.MaxShells)
	}
	for _, m := range messages {
		if err := sh.poolMessage(m); err != nil {
			return "", protocolError(err)
		}
	}
	if !sh.capability {
		return "", protocolError(errors.New("the shell was not opened with SESSION_CAPABILITY"))
	}
	s.shells[sh.id] = sh
	return sh.created(q), nil
}

// parseShell reads rsp:Shell.
func (s *Server) parseShell(q *request) (*shell, []byte, *wsmanFault) {
	if !q.body.is(nsShell, "Shell") {
		return nil, nil, schemaError("Shell")
	}
	now := s.o.Now()
	sh := &shell{s: s, opened: now, used: now, idle: s.o.IdleTimeout, commands: map[string]*command{}}
	sh.id = strings.ToUpper(q.body.attr("ShellId"))
	if sh.id == "" {
		sh.id = strings.ToUpper(s.newID().String())
	} else if _, err := parseGUID(sh.id); err != nil {
		return nil, nil, schemaError("ShellId")
	}
	streams := func(name string) []string {
		if e := q.body.child(nsShell, name); e != nil {
			return strings.Fields(e.text)
		}
		return nil
	}
	if !slices.Equal(streams("InputStreams"), []string{"stdin", "pr"}) {
		return nil, nil, schemaError("InputStreams")
	}
	if !slices.Equal(streams("OutputStreams"), []string{"stdout"}) {
		return nil, nil, schemaError("OutputStreams")
	}
	if e := q.body.child(nsShell, "IdleTimeOut"); e != nil {
		d, err := parseDuration(strings.TrimSpace(e.text))
		if err != nil || d <= 0 {
			return nil, nil, schemaError("IdleTimeOut")
		}
		sh.idle = min(d, sh.idle)
	}
	x := q.body.child(nsPowerShell, "creationXml")
	if x == nil {
		return nil, nil, schemaError("creationXml")
	}
	creation, err := base64.StdEncoding.DecodeString(strings.TrimSpace(x.text))
	if err != nil || len(creation) == 0 {
		return nil, nil, schemaError("creationXml")
	}
	return sh, creation, nil
}

// created is the body of CreateResponse.
func (sh *shell) created(q *request) string {
	o := sh.s.o.Organisation
	client, _, _ := strings.Cut(q.http.RemoteAddr, ":")
	return `<x:ResourceCreated><a:Address>` + xmlText(q.to) + `</a:Address><a:ReferenceParameters><w:ResourceURI>` + ResourceURI +
		`</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">` + sh.id + `</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>` +
		`<rsp:Shell xmlns:rsp="` + nsShell + `"><rsp:ShellId>` + sh.id + `</rsp:ShellId><rsp:ResourceUri>` + ResourceURI + `</rsp:ResourceUri><rsp:Owner>` +
		xmlText(o.NetBIOS()+`\`+sh.user.SAM) + `</rsp:Owner><rsp:ClientIP>` + xmlText(client) + fmt.Sprintf(`</rsp:ClientIP><rsp:IdleTimeOut>PT%.3fS</rsp:IdleTimeOut>`, sh.idle.Seconds()) +
		`<rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams>` + fmt.Sprintf(`<rsp:MaxIdleTimeOut>PT%.3fS</rsp:MaxIdleTimeOut>`, sh.s.o.IdleTimeout.Seconds()) +
		`<rsp:Locale>en-US</rsp:Locale><rsp:DataLocale>en-US</rsp:DataLocale><rsp:CompressionMode>NoCompression</rsp:CompressionMode><rsp:ProfileLoaded>Yes</rsp:ProfileLoaded>` +
		`<rsp:Encoding>UTF8</rsp:Encoding><rsp:BufferMode>Block</rsp:BufferMode><rsp:State>Connected</rsp:State><rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime><rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>`
}

// deleteShell ends a shell and all that runs in it.
func (s *Server) deleteShell(q *request) (string, *wsmanFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, fault := s.find(q)
	if fault != nil {
		return "", fault
	}
	if q.body != nil {
		return "", schemaError(q.body.name.Local)
	}
	sh.end(aborted())
	delete(s.shells, sh.id)
	return "", nil
}

// end stops what runs in the shell; polls that wait get the fault. Server.mu is held.
func (sh *shell) end(f *wsmanFault) {
	sh.output.fail(f)
	for _, c := range sh.commands {
		c.cancel()
		c.output.fail(f)
	}
}

// poolMessage takes a message to the runspace pool. Server.mu is held.
func (sh *shell) poolMessage(m message) error {
	if m.pipeline != (org.GUID{}) {
		return fmt.Errorf("message %#08x to the pool names a pipeline", uint32(m.kind))
	}
	if !sh.capability {
		if m.kind != sessionCapability || m.pool == (org.GUID{}) {
			return fmt.Errorf("message %#08x where SESSION_CAPABILITY is due", uint32(m.kind))
		}
		sh.pool = m.pool
	} else if m.pool != sh.pool {
		return errors.New("message of another runspace pool")
	}
	v, err := decode(m.data)
	if err != nil {
		return err
	}
	o, ok := v.(*Object)
	if !ok {
		return errors.New("message is not a complex object")
	}
	switch {
	case m.kind == sessionCapability && !sh.capability:
		return sh.negotiate(o)
	case m.kind == initRunspacePool && sh.state == poolBeforeOpen:
		return sh.initialise(o)
	case m.kind == getAvailableRunspaces && sh.state == poolOpened:
		ci, ok := o.member("ci")
		id, isInt := ci.(int64)
		if !ok || !isInt {
			return errors.New("GET_AVAILABLE_RUNSPACES without ci")
		}
		free := int64(len(sh.runspaces))
		sh.sendPool(runspaceAvailability, &Object{Extended: []Property{{"SetMinMaxRunspacesResponse", free}, {"ci", id}}})
		return nil
	case m.kind == publicKey:
		// Nobody needs a session key here: no parameter takes a secure string.
		return errors.New("PUBLIC_KEY is not taken by this session configuration")
	}
	return fmt.Errorf("message %#08x in state %d of the runspace pool", uint32(m.kind), sh.state)
}

// negotiate answers SESSION_CAPABILITY ([MS-PSRP] 3.2.5.4.1): the same major
// version, and a minor one that is not newer than ours.
func (sh *shell) negotiate(o *Object) error {
	version, _ := o.member("protocolversion")
	ps, _ := o.member("PSVersion")
	serialisation, _ := o.member("SerializationVersion")
	v, ok := version.(Version)
	if !ok || !slices.Contains([]Version{"2.1", "2.2", "2.3"}, v) {
		return fmt.Errorf("protocolversion %v", version)
	}
	if ps != Version("2.0") || serialisation != Version("1.1.0.1") {
		return fmt.Errorf("PSVersion %v, SerializationVersion %v", ps, serialisation)
	}
	sh.capability = true
	// Windows sends this one message without the id of the pool.
	sh.sendTo(&sh.output, message{kind: sessionCapability}, &Object{Extended: []Property{
		{"protocolversion", Version("2.3")}, {"PSVersion", Version("2.0")}, {"SerializationVersion", Version("1.1.0.1")},
	}})
	return nil
}

// initialise opens the pool ([MS-PSRP] 3.2.5.4.2). Whoever has no role at all is
// told so here, when the session's state is loaded.
func (sh *shell) initialise(o *Object) error {
	minimum, _ := o.member("MinRunspaces")
	maximum, _ := o.member("MaxRunspaces")
	lo, okLo := minimum.(int32)
	hi, okHi := maximum.(int32)
	if !okLo || !okHi || lo < 1 || hi < lo {
		return fmt.Errorf("MinRunspaces %v, MaxRunspaces %v", minimum, maximum)
	}
	for _, name := range []string{"PSThreadOptions", "ApartmentState", "HostInfo"} {
		if v, _ := o.member(name); !isObject(v) {
			return fmt.Errorf("INIT_RUNSPACEPOOL without %s", name)
		}
	}
	if _, ok := o.member("ApplicationArguments"); !ok {
		return errors.New("INIT_RUNSPACEPOOL without ApplicationArguments")
	}
	if len(sh.s.o.Organisation.Roles(sh.user)) == 0 {
		sh.output.fail(accessDenied(sh.s.authorisation("CmdletAccessDeniedException") +
			` The user "` + sh.s.o.Organisation.Canonical(sh.user) + `" isn't assigned to any management roles.`))
		return nil
	}
	sh.runspaces = make(chan struct{}, min(hi, 8))
	for range cap(sh.runspaces) {
		sh.runspaces <- struct{}{}
	}
	sh.sendPool(applicationPrivateData, &Object{Extended: []Property{{"ApplicationPrivateData", privateData()}}})
	sh.state = poolOpened
	sh.sendPool(runspacePoolState, &Object{Extended: []Property{{"RunspaceState", int32(sh.state)}}})
	return nil
}

func isObject(v any) bool { o, ok := v.(*Object); return ok && o != nil }

// privateData is the version table that Windows PowerShell 5.1 sends.
func privateData() *Object {
	types := []string{"System.Management.Automation.PSPrimitiveDictionary", "System.Collections.Hashtable", "System.Object"}
	const ps = Version("5.1.20348.2849")
	compatible := &Object{Types: []string{"System.Version[]", "System.Array", "System.Object"}, Base: List{
		Version("1.0"), Version("2.0"), Version("3.0"), Version("4.0"), Version("5.0"), ps,
	}}
	return &Object{Types: types, Base: Dict{{"PSVersionTable", &Object{Types: types, Base: Dict{
		{"PSVersion", ps}, {"PSEdition", "Desktop"}, {"PSCompatibleVersions", compatible}, {"CLRVersion", Version("4.0.30319.42000")},
		{"BuildVersion", Version("10.0.20348.2849")}, {"WSManStackVersion", Version("3.0")},
		{"PSRemotingProtocolVersion", Version("2.3")}, {"SerializationVersion", Version("1.1.0.1")},
	}}}}}
}

func (sh *shell) sendPool(kind messageType, v any) {
	sh.sendTo(&sh.output, message{kind: kind, pool: sh.pool}, v)
}

// sendTo queues a message. Server.mu is held.
func (sh *shell) sendTo(st *stream, m message, v any) {
	m.data = []byte(encode(v))
	sh.sendRaw(st, m)
}

func (sh *shell) sendRaw(st *stream, m message) {
	sh.lastObject++
	st.push(fragments(sh.lastObject, m.bytes(), sh.s.o.FragmentSize)...)
}

// authorisation is how texts of Exchange's authorisation begin, as servers of
// 2016 and later were seen to write them.
func (s *Server) authorisation(category string) string {
	return fmt.Sprintf("[ClientAccessServer=%s,BackEndServer=%s,RequestId=%s,TimeStamp=%s] [AuthZRequestId=%s][FailureCategory=AuthZ-%s]",
		s.machine(), strings.ToLower(s.o.Server), s.newID(), s.o.Now().UTC().Format("1/2/2006 3:04:05 PM"), s.newID(), category)
}

// remoteAccessDenied refuses a shell to somebody whose RemotePowerShellEnabled is
// $false. That Exchange says no more than "Access is denied" is unsure.
func (s *Server) remoteAccessDenied() *wsmanFault {
	return accessDenied(fmt.Sprintf("[ClientAccessServer=%s,BackEndServer=%s,RequestId=%s,TimeStamp=%s] Access is denied. ",
		s.machine(), strings.ToLower(s.o.Server), s.newID(), s.o.Now().UTC().Format("1/2/2006 3:04:05 PM")))
}
