-- Asks Latchkey about every request (Apache 2.4 with mod_lua and Debian's lua-socket). See apache.conf.
local http = require "socket.http"
local ltn12 = require "ltn12"

local LATCHKEY = "http://127.0.0.1:8000/forward-auth"
-- The host that Latchkey judges by must be the one that is served here.
local HOST = "wiki.example.org"
http.TIMEOUT = 10

local ASKED = { "Cookie", "Accept", "Sec-Fetch-Mode", "X-Requested-With", "Upgrade" }
local GIVEN = { "Remote-User", "Remote-Id", "Remote-Email", "Remote-Name", "Remote-Groups" }
local ANSWER = {
    "Location", "Set-Cookie", "Cache-Control", "Vary", "Retry-After", "Content-Security-Policy", "X-Content-Type-Options",
    "Referrer-Policy",
}
local OURS = { "^remote%-", "^x%-forwarded%-", "^x%-original%-", "^x%-real%-", "^x%-rewrite%-", "^forwarded$" }

function latchkey(r)
    if (r.headers_in["Host"] or ""):lower():gsub(":443$", "") ~= HOST then
        return 404
    end
    -- Remove the visitor's own Remote-... and X-Forwarded-... headers, in every spelling: an application may read Remote_User
    -- and Remote.User as Remote-User.
    for name in pairs(r:headers_in_table()) do
        for _, pattern in ipairs(OURS) do
            if name:lower():gsub("%W", "-"):match(pattern) then
                r.headers_in[name] = nil
            end
        end
    end
    -- "Connection: Remote-User" would have Apache take our Remote-User out again before the application.
    if (r.headers_in["Connection"] or ""):lower():match("remote") then
        return 400
    end

    local question = {
        ["X-Forwarded-Method"] = r.method, ["X-Forwarded-Proto"] = "https", ["X-Forwarded-Host"] = HOST,
        ["X-Forwarded-Uri"] = r.unparsed_uri, ["X-Forwarded-For"] = r.useragent_ip,
    }
    for _, name in ipairs(ASKED) do
        question[name] = r.headers_in[name]
    end
    local page = {}
    local ok, status, answer = http.request({
        url = LATCHKEY, headers = question, redirect = false, sink = ltn12.sink.table(page),
    })
    -- No answer, or none that we know: refuse the request.
    if not ok or status ~= 200 and (status < 300 or status > 599) then
        return 503
    end
    if status ~= 200 then
        for _, name in ipairs(ANSWER) do
            r.err_headers_out[name] = answer[name:lower()]
        end
        if #page > 0 then
            r:custom_response(status, table.concat(page))
        end
        return status
    end
    for _, name in ipairs(GIVEN) do
        r.headers_in[name] = answer[name:lower()]
    end
    r.headers_in["X-Forwarded-Proto"] = "https"
    return apache2.OK
end
