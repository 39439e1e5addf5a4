package haproxysock

import "io"

// Internals that tests look at.
var (
	FindCommas  = findCommas
	ParseInt    = parseInt
	CutSeverity = cutSeverity
)

const (
	LongestLine  = longestLine
	MaxReplyLine = maxReplyLine
	MaxText      = maxText
	MasterPrefix = masterPrefix
)

// ReadStats reads one reply to "show stat" the way a Client does.
func ReadStats(r io.Reader, columns []string, row func(*StatScanner) error) error {
	a := newAnswer(r, "test", []string{"show stat"})
	defer a.release()
	if err := a.stats("", columns, row); err != nil {
		return err
	}
	return a.end()
}

// ReadStatRows is ReadStats for what [Client.Stats] asks.
func ReadStatRows(r io.Reader) (rows []Stat, err error) {
	a := newAnswer(r, "test", []string{"show stat"})
	defer a.release()
	return rows, a.statRows("", func(row Stat) { rows = append(rows, row) })
}

// ReadAnswer reads r as all kinds of replies, one after the other, until one
// fails. It returns how many it has read.
func ReadAnswer(r io.Reader, kinds string) (n int, err error) {
	a := newAnswer(r, "test", make([]string, len(kinds)))
	defer a.release()
	for ; n < len(kinds) && err == nil; n++ {
		switch kinds[n] {
		case 't':
			_, err = a.text()
		case 'y':
			err = a.yes()
		case 'c':
			err = a.stats("", statColumns, func(*StatScanner) error { return nil })
		case 's':
			err = a.serverStates(func(*ServerState) error { return nil })
		case 'i':
			err = a.info(new(Process), nil)
		case 'l':
			_, err = a.lastText()
		}
	}
	if err == nil {
		err = a.end()
	}
	return n, err
}
