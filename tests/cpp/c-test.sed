# c-test.sed - the two forms of C that no macro can give C++ (make test-cxx).
s/\b_Atomic ((struct |unsigned |long )?[a-z_0-9]+)\b/_Atomic(\1)/g
s/&\(([a-z_0-9 ]+)\)\{([^{}]*)\}/c_literal<\1>({\2})/g
