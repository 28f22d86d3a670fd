package advice

// Class sorts errors by what somebody has to do about them. Its values are
// c2conn's exit codes.
type Class int

// The classes, by exit code.
const (
	ClassNone      Class = 0   // no error
	ClassOther     Class = 1   // anything else: network, disk, a fault in c2conn
	ClassUsage     Class = 2   // a wrong or missing answer
	ClassAuth      Class = 3   // the sign-in was refused
	ClassConsent   Class = 4   // an administrator has to consent first
	ClassCheck     Class = 5   // a required check failed
	ClassPolicy    Class = 6   // a policy of the tenant forbids it
	ClassCancelled Class = 130 // somebody stopped it
)

// ClassOf returns the class of err, ClassNone for nil.
func ClassOf(err error) Class {
	if err == nil {
		return ClassNone
	}
	return judge(err, Facts{}).class
}
