package psrp

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/c2conn/c2conn/internal/sim/onprem/org"
)

// Type is the type of a parameter: which values are taken.
type Type int

// The types.
const (
	String    Type = iota // any one value, as text
	Strings               // one or several
	Bool                  // $true and $false; no text
	Switch                // is there, or has a boolean value
	Unlimited             // a number or Unlimited
)

// Parameter is a parameter of a cmdlet.
type Parameter struct {
	Name      string
	Type      Type
	Mandatory bool
	Position  int      // from 1; 0 = by name only
	Values    []string // of an enumeration; nil = not one
	Enum      string   // full name of the enumeration's type
	Set       string   // parameter set that the parameter belongs to; "" = all
	Roles     []string // one of these has to be the user's; nil = the cmdlet's suffice
}

// Cmdlet is a cmdlet and what it does.
type Cmdlet struct {
	Name       string
	Namespace  string   // of its class
	Roles      []string // one of these has to be the user's
	Parameters []Parameter
	Changes    bool // has -Confirm and -WhatIf
	HighImpact bool // asks for confirmation unless -Confirm is $false
	Run        func(*Invocation) (Result, *Error)
}

// Result is what a cmdlet gives: objects, each a *Object or a primitive value,
// and warnings.
type Result struct {
	Objects  []any
	Warnings []string
}

// Invocation is a call of a cmdlet with its parameters bound.
type Invocation struct {
	Context context.Context
	User    org.User

	server *Server
	cmdlet *Cmdlet
	values map[string]any // by name in lower case
}

// Has tells whether a parameter was given.
func (call *Invocation) Has(name string) bool { _, ok := call.values[strings.ToLower(name)]; return ok }

// Text is the value of a String parameter, "" when it was not given.
func (call *Invocation) Text(name string) string {
	s, _ := call.values[strings.ToLower(name)].(string)
	return s
}

// Texts are the values of a Strings parameter.
func (call *Invocation) Texts(name string) []string {
	l, _ := call.values[strings.ToLower(name)].([]string)
	return l
}

// Bool is the value of a Bool or Switch parameter; otherwise when it was not given.
func (call *Invocation) Bool(name string, otherwise bool) bool {
	if b, ok := call.values[strings.ToLower(name)].(bool); ok {
		return b
	}
	return otherwise
}

// Number is the value of an Unlimited parameter, math.MaxInt for Unlimited.
func (call *Invocation) Number(name string, otherwise int) int {
	if n, ok := call.values[strings.ToLower(name)].(int); ok {
		return n
	}
	return otherwise
}

func (call *Invocation) errorAction() string { return strings.ToLower(call.Text("ErrorAction")) }
func (call *Invocation) warningAction() string {
	return strings.ToLower(call.Text("WarningAction"))
}

// commonParameters are those that every cmdlet has, with their aliases.
func commonParameters(c *Cmdlet) []Parameter {
	actions := []string{"SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore", "Suspend"}
	const enum = "System.Management.Automation.ActionPreference"
	list := []Parameter{
		{Name: "Verbose", Type: Switch}, {Name: "Debug", Type: Switch},
		{Name: "ErrorAction", Values: actions, Enum: enum}, {Name: "WarningAction", Values: actions, Enum: enum}, {Name: "InformationAction", Values: actions, Enum: enum},
		{Name: "ErrorVariable"}, {Name: "WarningVariable"}, {Name: "InformationVariable"}, {Name: "OutVariable"}, {Name: "OutBuffer"}, {Name: "PipelineVariable"},
	}
	if c.Changes {
		list = append(list, Parameter{Name: "Confirm", Type: Switch}, Parameter{Name: "WhatIf", Type: Switch})
	}
	return list
}

func aliases() map[string]string {
	return map[string]string{"vb": "Verbose", "db": "Debug", "ea": "ErrorAction", "wa": "WarningAction", "cf": "Confirm", "wi": "WhatIf", "ev": "ErrorVariable", "wv": "WarningVariable", "ov": "OutVariable"}
}

// bind finds the cmdlet in what the user's roles give him, and binds its
// parameters as PowerShell does.
func (s *Server) bind(user org.User, spec commandSpec) (*Invocation, *Error) {
	roles := s.o.Organisation.Roles(user)
	given := func(needed []string) bool {
		return len(needed) == 0 || slices.ContainsFunc(needed, func(r string) bool { return slices.Contains(roles, r) })
	}
	i := slices.IndexFunc(s.cmdlets, func(c Cmdlet) bool { return strings.EqualFold(c.Name, spec.name) && given(c.Roles) })
	if i < 0 {
		return nil, commandUnknown(spec.name)
	}
	c := &s.cmdlets[i]
	var parameters []Parameter
	for _, p := range append(slices.Clone(c.Parameters), commonParameters(c)...) {
		if given(p.Roles) {
			parameters = append(parameters, p)
		}
	}
	call := &Invocation{User: user, server: s, cmdlet: c, values: map[string]any{}}
	if e := call.bindAll(parameters, spec.args); e != nil {
		return nil, e
	}
	if c.HighImpact && call.Bool("Confirm", true) {
		// Nobody is there to be asked: the host of the client is null.
		return nil, &Error{
			Message: "A command that prompts the user failed because the host program or the command type does not support user interaction. " +
				"The host was attempting to request confirmation with the following message: Are you sure you want to perform this action?",
			Exception: "HostException", Namespace: "System.Management.Automation.Host", Bases: runtimeBases(), Category: InvalidOperation,
			ID: "HostException," + c.class(), Terminating: true, command: c.Name,
		}
	}
	return call, nil
}

func (call *Invocation) bindAll(parameters []Parameter, args []argument) *Error {
	var positional []any
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a.name == "" {
			positional = append(positional, a.value)
			continue
		}
		p, e := call.parameter(parameters, a.name)
		if e != nil {
			return e
		}
		value := a.value
		if value == nil {
			switch {
			case p.Type == Switch:
				value = true
			case i+1 < len(args) && args[i+1].name == "":
				i++
				value = args[i].value
			default:
				return bindingError(call.cmdlet, "MissingArgument", fmt.Sprintf("Missing an argument for parameter '%s'. Specify a parameter of type '%s' and try again.", p.Name, p.typeName()))
			}
		}
		if e := call.bindOne(p, value); e != nil {
			return e
		}
	}
	for _, v := range positional {
		at := slices.IndexFunc(parameters, func(p Parameter) bool { return p.Position > 0 && !call.Has(p.Name) })
		if at < 0 {
			return bindingError(call.cmdlet, "PositionalParameterNotFound", fmt.Sprintf("A positional parameter cannot be found that accepts argument '%v'.", plain(v)))
		}
		if e := call.bindOne(parameters[at], v); e != nil {
			return e
		}
	}
	return call.check(parameters)
}

// parameter finds a parameter by its name, an alias or an unambiguous beginning.
func (call *Invocation) parameter(parameters []Parameter, name string) (Parameter, *Error) {
	if full, ok := aliases()[strings.ToLower(name)]; ok {
		name = full
	}
	var matches []Parameter
	for _, p := range parameters {
		if strings.EqualFold(p.Name, name) {
			return p, nil
		}
		if len(p.Name) > len(name) && strings.EqualFold(p.Name[:len(name)], name) {
			matches = append(matches, p)
		}
	}
	switch len(matches) {
	case 1:
		return matches[0], nil
	case 0:
		return Parameter{}, bindingError(call.cmdlet, "NamedParameterNotFound", "A parameter cannot be found that matches parameter name '"+name+"'.")
	}
	text := "Parameter cannot be processed because the parameter name '" + name + "' is ambiguous. Possible matches include:"
	for _, m := range matches {
		text += " -" + m.Name
	}
	return Parameter{}, bindingError(call.cmdlet, "AmbiguousParameter", text+".")
}

func (call *Invocation) bindOne(p Parameter, value any) *Error {
	if call.Has(p.Name) {
		return bindingError(call.cmdlet, "ParameterAlreadyBound", "Cannot bind parameter because parameter '"+p.Name+"' is specified more than once. "+
			"To provide multiple values to parameters that can accept multiple values, use the array syntax. For example, \"-parameter value1,value2,value3\".")
	}
	v, why := p.convert(value)
	if why != "" {
		e := bindingError(call.cmdlet, "ParameterArgumentTransformationError", "Cannot process argument transformation on parameter '"+p.Name+"'. "+why)
		e.Exception = "ParameterBindingArgumentTransformationException"
		return e
	}
	call.values[strings.ToLower(p.Name)] = v
	return nil
}

// check looks at parameter sets and mandatory parameters.
func (call *Invocation) check(parameters []Parameter) *Error {
	set := ""
	for _, p := range parameters {
		if p.Set == "" || !call.Has(p.Name) {
			continue
		}
		if set != "" && set != p.Set {
			return bindingError(call.cmdlet, "AmbiguousParameterSet", "Parameter set cannot be resolved using the specified named parameters.")
		}
		set = p.Set
	}
	var missing []string
	for _, p := range parameters {
		if p.Mandatory && !call.Has(p.Name) && (p.Set == "" || p.Set == set) {
			missing = append(missing, p.Name)
		}
	}
	if len(missing) > 0 {
		return bindingError(call.cmdlet, "MissingMandatoryParameter", "Cannot process command because of one or more missing mandatory parameters: "+strings.Join(missing, " ")+".")
	}
	return nil
}

func (p Parameter) typeName() string {
	switch {
	case p.Enum != "":
		return p.Enum
	case p.Type == Bool:
		return "System.Boolean"
	case p.Type == Unlimited:
		return "Microsoft.Exchange.Data.Unlimited`1[System.UInt32]"
	}
	return "System.String"
}

// plain takes the value out of an object that only wraps it.
func plain(v any) any {
	if o, ok := v.(*Object); ok && o != nil {
		if o.Base != nil {
			if _, isObject := o.Base.(*Object); !isObject {
				return o.Base
			}
		}
		if present, ok := o.member("IsPresent"); ok { // a SwitchParameter
			return present
		}
	}
	return v
}

// text is how PowerShell makes text of a value.
func text(v any) (string, bool) {
	switch v := plain(v).(type) {
	case string:
		return v, true
	case Version:
		return string(v), true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	case int32, int64, uint64, float64, org.GUID:
		return fmt.Sprint(v), true
	}
	return "", false
}

// convert makes a value of the parameter's type; why says what is wrong.
func (p Parameter) convert(value any) (v any, why string) {
	cannot := func(what string) (any, string) {
		return nil, fmt.Sprintf("Cannot convert value \"%s\" to type \"%s\".", what, p.typeName())
	}
	value = plain(value)
	switch p.Type {
	case Bool, Switch:
		switch b := value.(type) {
		case bool:
			return b, ""
		case int32:
			return b != 0, ""
		}
		what := "System.Object"
		if _, ok := value.(string); ok {
			what = "System.String"
		}
		_, why := cannot(what)
		return nil, why + " Boolean parameters accept only Boolean values and numbers, such as $True, $False, 1 or 0 instead."
	case Unlimited:
		s, ok := text(value)
		if strings.EqualFold(s, "unlimited") {
			return math.MaxInt, ""
		}
		n, err := strconv.ParseUint(s, 10, 32)
		if !ok || err != nil {
			return cannot(s)
		}
		return int(n), ""
	case Strings:
		list, isList := value.(List)
		if !isList {
			list = List{value}
		}
		var out []string
		for _, item := range list {
			s, ok := text(item)
			if !ok {
				return cannot("System.Object")
			}
			if s, why = p.known(s); why != "" {
				return nil, why
			}
			out = append(out, s)
		}
		return out, ""
	}
	s, ok := text(value)
	if !ok {
		return cannot("System.Object[]")
	}
	return p.known(s)
}

// known takes a value of an enumeration in whatever case.
func (p Parameter) known(s string) (string, string) {
	if p.Values == nil {
		return s, ""
	}
	for _, v := range p.Values {
		if strings.EqualFold(v, s) {
			return v, ""
		}
	}
	return "", fmt.Sprintf("Cannot convert value \"%s\" to type \"%s\". Error: \"Unable to match the identifier name %s to a valid enumerator name. "+
		"Specify one of the following enumerator names and try again: %s\"", s, p.Enum, s, strings.Join(p.Values, ", "))
}
