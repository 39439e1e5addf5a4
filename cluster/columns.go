package cluster

import "strings"

// textColumns and numberColumns are HAProxy's columns, of all versions up to
// 3.4. A column that is not here is kept all the same, only its type is not known
// before it is read.
//
// Management Guide, 9.1 "CSV format".
const (
	textColumns = "pxname svname status check_status last_chk last_agt agent_status check_desc agent_desc" +
		" tracked addr cookie mode algo proto"

	numberColumns = "qcur qmax scur smax slim stot bin bout dreq dresp ereq econ eresp wretr wredis weight act bck" +
		" chkfail chkdown lastchg downtime qlimit pid iid sid throttle lbtot type rate rate_lim rate_max" +
		" check_code check_duration hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other hanafail" +
		" req_rate req_rate_max req_tot cli_abrt srv_abrt comp_in comp_out comp_byp comp_rsp lastsess" +
		" qtime ctime rtime ttime agent_code agent_duration check_rise check_fall check_health" +
		" agent_rise agent_fall agent_health conn_rate conn_rate_max conn_tot intercepted dcon dses" +
		" wrew connect reuse cache_lookups cache_hits srv_icur src_ilim qtime_max ctime_max rtime_max ttime_max" +
		" eint idle_conn_cur safe_conn_cur used_conn_cur need_conn_est uweight" +
		" agg_server_status agg_server_check_status agg_check_status srid sess_other" +
		" h1sess h2sess h3sess req_other h1req h2req h3req" +
		" ssl_sess ssl_reused_sess ssl_failed_handshake ssl_ocsp_staple ssl_failed_ocsp_staple" +
		" h1_headers_rcvd h1_data_rcvd h1_settings_rcvd h1_rst_stream_rcvd h1_goaway_rcvd" +
		" h1_open_connections h1_open_streams h1_total_connections h1_total_streams h1_bytes_in h1_bytes_out" +
		" h1_spliced_bytes_in h1_spliced_bytes_out" +
		" h2_headers_rcvd h2_data_rcvd h2_settings_rcvd h2_rst_stream_rcvd h2_goaway_rcvd" +
		" h2_detected_conn_protocol_errors h2_detected_strm_protocol_errors h2_rst_stream_resp h2_goaway_resp" +
		" h2_open_connections h2_backend_open_streams h2_total_connections h2_backend_total_streams" +
		" priv_idle_cur reqbin reqbout resbin resbout cache_hint_hits"
)

// nearest is that of names which takes the fewest letters to change into name,
// or "" if none is near.
func nearest(name string, names []string) string {
	return nearestWithin(name, names, len(name)/3+2)
}

// nearestWord is for our own words and columns, of which there are so many that
// one is near to every short name.
func nearestWord(name string, words []string) string {
	return nearestWithin(name, words, len(name)/3+1)
}

// nearestWithin takes fewer letters than least.
func nearestWithin(name string, names []string, least int) string {
	best := ""
	for _, other := range names {
		if n := distance(strings.ToLower(name), strings.ToLower(other), least); n < least {
			best, least = other, n
		}
	}
	return best
}

// distance is the number of letters to put in, take out or replace between a
// and b (Levenshtein), at most limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := corner
			if a[i] != b[j] {
				replaced++
			}
			corner = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
