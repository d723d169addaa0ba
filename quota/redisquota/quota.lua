-- One operation on a quota: reserve, settle or throttled. The arithmetic is that
-- of package bucket, whose state is here a hash. Reserve returns the state if
-- there is no room, and changes nothing; else nothing is returned.
local op = ARGV[1]
local n = tonumber(ARGV[2])
local tokens, requests = tonumber(ARGV[3]), tonumber(ARGV[4])
local decrease, floor, recovery = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local pause = tonumber(ARGV[8])

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local state = redis.call('HMGET', KEYS[1], 'at', 'tokens', 'requests', 'slow', 'throttled')
local at = tonumber(state[1] or '') or now
local t = tonumber(state[2] or '') or 0
local r = tonumber(state[3] or '') or 0
local slow = tonumber(state[4] or '') or 0
local throttled = tonumber(state[5] or '') or 0

-- A clock that was set back, as that of a replica that takes over, gives nothing
-- twice: time stands still until it has caught up. One that is an hour behind was
-- wrong before; to wait for it would block the quota.
if at > now and at - now < 3600000000 then now = at end

local dt = math.max(0, now - at) / 1000000
local ramp = math.min(dt, slow / recovery)
local flow = (dt - ramp * slow + ramp * ramp * recovery / 2) / 60
t = math.max(0, t - tokens * flow)
r = math.max(0, r - requests * flow)
slow = math.max(0, slow - recovery * dt)

local function exact(x) return string.format('%.17g', x) end

if op == 'reserve' then
	if tokens > 0 and t + math.min(n, tokens) > tokens or requests > 0 and r + 1 > requests then
		return {exact(t), exact(r), exact(slow)}
	end
	t = t + n
	r = r + 1
elseif op == 'settle' then
	t = math.max(0, t + n)
elseif math.abs(now - throttled) >= pause then
	slow = math.min(1 - floor, 1 - (1 - slow) * decrease)
	t = math.max(t, (t + tokens) / 2)
	r = math.max(r, (r + requests) / 2)
	throttled = now
end

redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now), 'tokens', exact(t), 'requests', exact(r),
	'slow', exact(slow), 'throttled', string.format('%.0f', throttled))

-- Until the bucket is full and the rate whole, and at least so long; a day at most.
local minutes = slow / recovery / 60
if tokens > 0 then minutes = minutes + t / tokens end
if requests > 0 then minutes = minutes + r / requests end
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(minutes + 1, 1440) * 60000))
return {}
