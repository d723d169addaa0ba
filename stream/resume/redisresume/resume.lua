-- One operation on an answer: begin, append, read or stop. KEYS are a hash, with
-- what is known of the answer, and a stream, whose entry N-0 is the message of the
-- sequence N. Times are in milliseconds. The first value that is returned is 0 or
-- names an error.
local meta, log, op = KEYS[1], KEYS[2], ARGV[1]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function int(x) return string.format('%.0f', x) end

local state = redis.call('HMGET', meta, 'owner', 'last', 'until', 'seen', 'keep', 'ended', 'stopped')
local owner, last = state[1], tonumber(state[2] or '') or 0
local lease, seen, keep = tonumber(state[3] or '') or 0, tonumber(state[4] or '') or 0, tonumber(state[5] or '') or 0
local ended, stopped = state[6], state[7]

-- expire forgets the answer after a time.
local function expire(ms)
	redis.call('PEXPIRE', meta, int(ms))
	redis.call('PEXPIRE', log, int(ms))
end

if op == 'begin' then
	local who, duration = ARGV[2], tonumber(ARGV[3])
	keep = tonumber(ARGV[4])
	if owner then
		if owner == who then return {0} end
		return {'exists'}
	end
	redis.call('HSET', meta, 'owner', who, 'last', 0, 'until', int(now + duration), 'seen', int(now), 'keep', int(keep))
	expire(duration + keep)
	return {0}
end

if op == 'append' then
	local who, duration = ARGV[2], tonumber(ARGV[3])
	keep = tonumber(ARGV[4])
	if owner ~= who or ended and #ARGV == 4 then return {'lost'} end
	for i = 5, #ARGV, 3 do
		local sequence = tonumber(ARGV[i])
		if sequence > last + 1 then return {'missing', last} end
		if sequence == last + 1 then
			if ended then return {'lost'} end
			redis.call('XADD', log, int(sequence) .. '-0', 'm', ARGV[i + 1])
			last = sequence
			if ARGV[i + 2] == 'last' then ended = '1' end
		end
	end
	redis.call('HSET', meta, 'last', int(last), 'until', int(now + duration), 'keep', int(keep))
	if ended then
		redis.call('HSET', meta, 'ended', 1)
		expire(keep)
	else
		expire(duration + keep)
	end
	return {0, stopped and 1 or 0, int(math.max(0, now - seen))}
end

if not owner then return {'unknown'} end

if op == 'stop' then
	redis.call('HSET', meta, 'stopped', 1)
	return {0}
end

-- read
local after, count, wait = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if not ended and now >= lease then
	-- The owner is gone: nothing that it appends now counts.
	last = last + 1
	redis.call('XADD', log, int(last) .. '-0', 'm', string.format(ARGV[5], last))
	redis.call('HSET', meta, 'last', int(last), 'ended', 1, 'owner', '')
	ended = '1'
	expire(keep)
end
if after > last then return {'gap', last} end
if not ended and now + wait > seen then
	redis.call('HSET', meta, 'seen', int(now + wait))
end
local messages = {}
for _, entry in ipairs(redis.call('XRANGE', log, int(after + 1) .. '-0', '+', 'COUNT', count)) do
	messages[#messages + 1] = entry[2][2]
end
return {0, ended and last or 0, int(math.max(0, lease - now)), messages}
