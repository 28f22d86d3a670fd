package psrp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// pipelineSpec is what CREATE_PIPELINE asks for ([MS-PSRP] 2.2.2.10).
type pipelineSpec struct {
	commands []commandSpec
	several  bool // statements, that is ExtraCmds
}

// commandSpec is a command of a pipeline ([MS-PSRP] 2.2.3.12).
type commandSpec struct {
	name   string
	script bool
	args   []argument
}

// argument is a named or positional argument ([MS-PSRP] 2.2.3.13).
type argument struct {
	name  string // "" = positional
	value any
}

// parsePipeline reads CREATE_PIPELINE. Everything that the specification calls
// for has to be there.
func parsePipeline(data []byte) (*pipelineSpec, error) {
	v, err := decode(data)
	if err != nil {
		return nil, err
	}
	root, ok := v.(*Object)
	if !ok {
		return nil, errors.New("CREATE_PIPELINE is not a complex object")
	}
	noInput, err := boolean(root, "NoInput")
	if err != nil {
		return nil, err
	}
	if !noInput {
		return nil, errors.New("a pipeline with input is not taken by any cmdlet here")
	}
	if nested, err := boolean(root, "IsNested"); err != nil || nested {
		return nil, errors.New("CREATE_PIPELINE: IsNested is missing or true")
	}
	if _, err := boolean(root, "AddToHistory"); err != nil {
		return nil, err
	}
	for _, name := range []string{"ApartmentState", "RemoteStreamOptions", "HostInfo"} {
		if v, _ := root.member(name); !isObject(v) {
			return nil, fmt.Errorf("CREATE_PIPELINE without %s", name)
		}
	}
	ps, _ := root.member("PowerShell")
	shell, ok := ps.(*Object)
	if !ok {
		return nil, errors.New("CREATE_PIPELINE without PowerShell")
	}
	return parsePowerShell(shell)
}

func boolean(o *Object, name string) (bool, error) {
	v, _ := o.member(name)
	b, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("%s is not a boolean", name)
	}
	return b, nil
}

// parsePowerShell reads a PowerShell object ([MS-PSRP] 2.2.3.11).
func parsePowerShell(o *Object) (*pipelineSpec, error) {
	if nested, err := boolean(o, "IsNested"); err != nil || nested {
		return nil, errors.New("PowerShell: IsNested is missing or true")
	}
	if _, err := boolean(o, "RedirectShellErrorOutputPipe"); err != nil {
		return nil, err
	}
	p := &pipelineSpec{}
	if extra, ok := o.member("ExtraCmds"); ok && extra != nil {
		list, err := objects(extra, "ExtraCmds")
		if err != nil {
			return nil, err
		}
		// The same single statement is repeated there by some clients.
		p.several = len(list) > 1
	}
	cmds, _ := o.member("Cmds")
	list, err := objects(cmds, "Cmds")
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("a pipeline without commands")
	}
	for _, c := range list {
		spec, err := parseCommand(c)
		if err != nil {
			return nil, err
		}
		p.commands = append(p.commands, spec)
	}
	return p, nil
}

func objects(v any, name string) ([]*Object, error) {
	o, ok := v.(*Object)
	if !ok || o == nil {
		return nil, fmt.Errorf("%s is not a list", name)
	}
	items, ok := o.Base.(List)
	if !ok {
		return nil, fmt.Errorf("%s is not a list", name)
	}
	var list []*Object
	for _, item := range items {
		c, ok := item.(*Object)
		if !ok || c == nil {
			return nil, fmt.Errorf("%s holds something else than objects", name)
		}
		list = append(list, c)
	}
	return list, nil
}

func parseCommand(o *Object) (c commandSpec, err error) {
	name, _ := o.member("Cmd")
	var ok bool
	if c.name, ok = name.(string); !ok || c.name == "" {
		return c, errors.New("a command without Cmd")
	}
	if c.script, err = boolean(o, "IsScript"); err != nil {
		return c, err
	}
	for _, name := range []string{"MergeMyResult", "MergeToResult", "MergePreviousResults"} {
		if v, _ := o.member(name); !isObject(v) {
			return c, fmt.Errorf("a command without %s", name)
		}
	}
	if _, ok := o.member("UseLocalScope"); !ok {
		return c, errors.New("a command without UseLocalScope")
	}
	args, _ := o.member("Args")
	list, err := objects(args, "Args")
	if err != nil {
		return c, err
	}
	for _, a := range list {
		n, okName := a.member("N")
		v, okValue := a.member("V")
		name, isName := n.(string)
		if !okName || !okValue || n != nil && !isName {
			return c, errors.New("an argument without N and V")
		}
		c.args = append(c.args, argument{strings.TrimSuffix(strings.TrimPrefix(name, "-"), ":"), v})
	}
	return c, nil
}

// start runs a pipeline once a runspace is free. Server.mu is held.
func (s *Server) start(c *command, p *pipelineSpec) {
	s.running.Go(func() {
		select {
		case <-c.sh.runspaces:
			defer func() { c.sh.runspaces <- struct{}{} }()
			s.run(c, p)
		case <-c.ctx.Done():
			s.finish(c, pipelineStopped, stoppedRecord())
		}
	})
}

// A pipeline's states ([MS-PSRP] 2.2.3.5).
const (
	pipelineRunning   int32 = 1
	pipelineStopped   int32 = 3
	pipelineCompleted int32 = 4
	pipelineFailed    int32 = 5
)

// run carries out a pipeline and reports how it ended.
func (s *Server) run(c *command, p *pipelineSpec) {
	if !s.o.SkipRunning {
		s.state(c, pipelineRunning, nil)
	}
	if f := s.fault("slow"); f != nil && !s.pause(c.ctx.Done(), f.wait) {
		s.finish(c, pipelineStopped, stoppedRecord())
		return
	}
	one := p.commands[0]
	if i := slices.IndexFunc(p.commands, func(c commandSpec) bool { return c.script }); i >= 0 {
		s.finish(c, pipelineFailed, noLanguage(p.commands[i].name))
		return
	}
	if p.several || len(p.commands) > 1 || slices.ContainsFunc(one.args, func(a argument) bool { return holdsScript(a.value) }) {
		s.finish(c, pipelineFailed, noLanguage(one.name))
		return
	}
	call, failed := s.bind(c.sh.user, one)
	if failed != nil {
		s.finish(c, pipelineFailed, failed)
		return
	}
	call.Context = c.ctx
	result, err := call.cmdlet.Run(call)
	switch {
	case c.ctx.Err() != nil:
		s.finish(c, pipelineStopped, stoppedRecord())
		return
	case err != nil && err.ID == "":
		err.ID = err.Exception
	}
	s.output(c, call, result)
	switch {
	case err == nil:
		s.finish(c, pipelineCompleted, nil)
	case err.Terminating || call.errorAction() == "stop":
		s.finish(c, pipelineFailed, err.in(call))
	default:
		if a := call.errorAction(); a != "silentlycontinue" && a != "ignore" {
			s.emit(c, errorRecord, err.in(call).object())
		}
		s.finish(c, pipelineCompleted, nil)
	}
}

// output sends what a cmdlet gave.
func (s *Server) output(c *command, call *Invocation, r Result) {
	for i, o := range r.Objects {
		if f := s.hostileFault(i); f != nil {
			s.mu.Lock()
			c.sh.sendRaw(&c.output, message{kind: pipelineOutput, pool: c.sh.pool, pipeline: c.pipeline, data: []byte(hostile(f.arg))})
			s.mu.Unlock()
			continue
		}
		s.emit(c, pipelineOutput, o)
	}
	if a := call.warningAction(); a == "silentlycontinue" || a == "ignore" {
		return
	}
	for _, w := range r.Warnings {
		s.emit(c, warningRecord, &Object{
			Types: []string{"System.Management.Automation.WarningRecord", "System.Management.Automation.InformationalRecord", "System.Object"}, Text: w,
			Extended: []Property{
				{"InformationalRecord_Message", w}, {"InformationalRecord_SerializeInvocationInfo", false},
				{"InformationalRecord_PipelineIterationInfo", iterationInfo()},
			},
		})
	}
}

func (s *Server) hostileFault(object int) *activeFault {
	if object > 0 {
		return nil
	}
	return s.fault("hostile")
}

func (s *Server) emit(c *command, kind messageType, v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.sh.sendTo(&c.output, message{kind: kind, pool: c.sh.pool, pipeline: c.pipeline}, v)
}

// state sends PIPELINE_STATE ([MS-PSRP] 2.2.2.21).
func (s *Server) state(c *command, state int32, e *Error) {
	o := &Object{Extended: []Property{{"PipelineState", state}}}
	if e != nil {
		o.Extended = append(o.Extended, Property{"ExceptionAsErrorRecord", e.object()})
	}
	s.emit(c, pipelineState, o)
}

func (s *Server) finish(c *command, state int32, e *Error) {
	s.state(c, state, e)
	s.mu.Lock()
	defer s.mu.Unlock()
	c.output.finish()
}

// holdsScript tells whether a value has a script block in it.
func holdsScript(v any) bool { return holdsScriptIn(v, map[*Object]bool{}) }

func holdsScriptIn(v any, seen map[*Object]bool) bool {
	switch v := v.(type) {
	case ScriptBlock:
		return true
	case List:
		return slices.ContainsFunc(v, func(e any) bool { return holdsScriptIn(e, seen) })
	case Dict:
		return slices.ContainsFunc(v, func(e Entry) bool { return holdsScriptIn(e.Key, seen) || holdsScriptIn(e.Value, seen) })
	case *Object:
		if v == nil || seen[v] {
			return false
		}
		seen[v] = true
		in := func(p Property) bool { return holdsScriptIn(p.Value, seen) }
		return holdsScriptIn(v.Base, seen) || slices.ContainsFunc(v.Props, in) || slices.ContainsFunc(v.Extended, in)
	}
	return false
}
