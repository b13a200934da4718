-- Asks Latchkey about every request (tried with HAProxy 2.6; needs 2.5 or later). See haproxy.cfg, which loads this file.

local LATCHKEY = "http://127.0.0.1:8000/forward-auth"

-- What Latchkey reads; haproxy.cfg has replaced the visitor's own X-Forwarded-… by then.
local ASKED = {
    ["cookie"] = true, ["accept"] = true, ["sec-fetch-mode"] = true, ["x-requested-with"] = true, ["upgrade"] = true,
    ["x-forwarded-method"] = true, ["x-forwarded-proto"] = true, ["x-forwarded-host"] = true,
    ["x-forwarded-uri"] = true, ["x-forwarded-for"] = true,
}
local GIVEN = { "remote-user", "remote-id", "remote-email", "remote-name", "remote-groups" }
local ANSWER = {
    "location", "set-cookie", "cache-control", "vary", "content-type", "retry-after", "content-security-policy",
    "x-content-type-options", "referrer-policy",
}

core.register_action("latchkey", { "http-req" }, function(txn)
    local question = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        -- Remote_User and its like go along, so that Latchkey refuses should haproxy.cfg let one through.
        if ASKED[name] or name:match("^remote[^%w-]") then
            question[name] = {}
            for _, value in pairs(values) do
                table.insert(question[name], value)
            end
        end
    end
    local answer = core.httpclient():get({ url = LATCHKEY, headers = question, timeout = 5000 })

    if answer.status == 200 then
        for _, name in ipairs(GIVEN) do
            txn.http:req_set_header(name, answer.headers[name][0])
        end
        -- haproxy.cfg lets nothing past without this.
        txn:set_var("txn.latchkey", true)
        return
    end
    -- Any other status counts as no answer: refuse the request.
    local refused = answer.status >= 300 and answer.status < 600
    local reply = txn:reply({ status = refused and answer.status or 503, body = refused and answer.body or "" })
    for _, name in ipairs(refused and ANSWER or {}) do
        for _, value in pairs(answer.headers[name] or {}) do
            reply:add_header(name, value)
        end
    end
    txn:done(reply)
end, 0)
