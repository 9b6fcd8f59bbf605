//! Every minute: resumes what lost its execution, expires what is overdue.
